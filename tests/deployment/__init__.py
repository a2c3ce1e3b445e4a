"""The container deployment, checked without a container engine."""
