"""The back-test, without files."""
