"""Databases for the suite, as the storage suites have them."""

from __future__ import annotations

from tests.contract.storage.conftest import database, url

__all__ = ["database", "url"]
