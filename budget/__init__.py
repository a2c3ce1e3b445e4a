"""How much to spend on which segment: response curves, the optimiser, and a market to try both in."""
