"""The product as its users run it: its own processes, real brokers, real databases, whole logs."""
