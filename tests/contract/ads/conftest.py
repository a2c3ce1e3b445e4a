"""Databases and shops for the suite; databases as the storage suites have them."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from storage.engine import Database
from storage.schema import upgrade
from tests.contract.ads.shop import Shop
from tests.contract.storage.conftest import database, sqlite_database, url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["database", "sqlite_database", "url"]


@pytest.fixture
def sqlite_shop(sqlite_database: Database) -> Shop:
    """Give a shop without customers."""
    return Shop(sqlite_database)


@pytest.fixture(scope="session")
def empty_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a database file with every table, to be copied."""
    path = tmp_path_factory.mktemp("empty") / "clv.db"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture
def database_of(empty_file: Path, tmp_path: Path) -> Iterator[Callable[[], Database]]:
    """Give what makes an empty SQLite database, quickly."""
    made: list[Database] = []

    def make() -> Database:
        path = tmp_path / "clv.db"
        shutil.copy(empty_file, path)
        made.append(Database(f"sqlite:///{path}"))
        return made[-1]

    yield make
    for each in made:
        each.close()
