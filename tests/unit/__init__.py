"""Tests without I/O, mirroring the source."""
