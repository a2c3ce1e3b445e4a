"""Tests of parts of the API."""
