"""Producers on a real broker."""
