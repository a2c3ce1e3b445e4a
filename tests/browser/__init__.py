"""The dashboard in a browser, as people use it."""
