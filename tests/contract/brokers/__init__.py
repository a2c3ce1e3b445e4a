"""Every broker that the scorer runs on does what it relies on."""
