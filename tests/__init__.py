"""Tests: unit ones mirror the source folders, the others are sorted by what they prove."""
