"""The API over a filled database of each kind."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from fastapi.testclient import TestClient

from api.main import create_app
from clv.settings import Settings
from storage.engine import Database
from storage.schema import upgrade
from tests.contract.api.trading import fill

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fastapi import FastAPI


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database with a shop in it."""
    url = f"sqlite:///{tmp_path / 'clv.db'}"
    if request.param == "postgres":
        url = str(request.getfixturevalue("postgres_database"))
    upgrade(url)
    opened = Database(url)
    fill(opened)
    yield opened
    opened.close()


@pytest.fixture
def app(database: Database) -> FastAPI:
    """The API over it."""
    return create_app(Settings(), database, clock=time.time)


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    """A caller on this machine."""
    with TestClient(app, base_url="http://127.0.0.1") as caller:
        yield caller
