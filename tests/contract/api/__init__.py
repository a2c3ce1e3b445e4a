"""Tests of the API over every kind of database."""
