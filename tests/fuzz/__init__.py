"""Hostile input by the million: seeded, resumable, every door of the product. ``make fuzz`` runs the campaign."""
