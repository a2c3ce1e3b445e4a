"""Synchronising audiences, on every database."""
