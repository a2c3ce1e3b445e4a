"""The shape of the program: imports, names, and what importing does."""
