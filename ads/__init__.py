"""From scores to ad platforms: audiences, conversions and budgets, behind one interface a platform."""
