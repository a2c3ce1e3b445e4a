"""The back-test: a log replayed through the core, every prediction made from what was known at the end of its day."""
