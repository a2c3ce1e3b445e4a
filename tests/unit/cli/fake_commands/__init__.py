"""Commands that only tests register."""
