"""Connectors: one module a platform, each an ``ads.connector.AudienceConnector``."""
