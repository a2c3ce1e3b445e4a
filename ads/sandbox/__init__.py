"""A Meta of one's own: an HTTP server on loopback that keeps the documented rules, for the demo and for tests."""
