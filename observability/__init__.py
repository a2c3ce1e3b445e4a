"""What a role says of itself to whoever watches it: figures for Prometheus, each role with a registry of its own."""
