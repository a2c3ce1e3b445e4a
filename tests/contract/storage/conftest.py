"""An empty database of each kind for every test of the suite."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from storage.engine import Database
from storage.schema import upgrade

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of a database without tables."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'clv.db'}"
    return str(request.getfixturevalue("postgres_database"))


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    """Give an empty database with every table."""
    upgrade(url)
    opened = Database(url)
    yield opened
    opened.close()


@pytest.fixture
def sqlite_database(tmp_path: Path) -> Iterator[Database]:
    """Give an empty SQLite database with every table, in the file ``clv.db``."""
    url = f"sqlite:///{tmp_path / 'clv.db'}"
    upgrade(url)
    opened = Database(url)
    yield opened
    opened.close()
