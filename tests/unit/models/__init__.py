"""Unit tests of models/."""
