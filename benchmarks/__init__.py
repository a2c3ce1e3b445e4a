"""Measurements, side by side: what ``clv bench`` runs."""
