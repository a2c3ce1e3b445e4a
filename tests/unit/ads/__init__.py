"""Tests of the ad platforms' side."""
