"""The doctor's checks that need no server."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

from cli.checks import check_data_directory, check_database, check_python, examine
from clv.errors import StoreError
from clv.settings import Settings
from storage.schema import upgrade

if TYPE_CHECKING:
    from pathlib import Path


def test_every_declared_dependency_is_found() -> None:
    """Nothing that the project declares is missing here."""
    assert [finding.state for finding in check_python(Settings())] == ["ok"]


def test_a_fresh_directory_is_ready_and_untouched(tmp_path: Path) -> None:
    """A data directory that does not exist yet is fine where it can be made; looking makes nothing."""
    settings = Settings(data_dir=tmp_path / "new" / "deep")

    assert [finding.state for finding in check_data_directory(settings)] == ["ok"]
    assert list(tmp_path.iterdir()) == []


def test_a_database_that_is_not_there_yet_is_a_note(tmp_path: Path) -> None:
    """Before the first run there is no database, and that is not wrong."""
    found = list(check_database(Settings(data_dir=tmp_path)))

    assert [finding.state for finding in found] == ["note"]


def test_an_upgraded_database_is_ok_and_a_newer_one_wrong(tmp_path: Path) -> None:
    """The schema revision is compared with this build's."""
    settings = Settings(data_dir=tmp_path)
    upgrade(settings.sql_url)
    assert [finding.state for finding in check_database(settings)] == ["ok"]
    with sqlite3.connect(tmp_path / "clv.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'from-the-future'")
    connection.close()

    with pytest.raises(StoreError, match="from-the-future"):
        list(check_database(settings))


def test_without_a_broker_the_rest_is_still_looked_at(tmp_path: Path) -> None:
    """An absent broker is one wrong finding; topics and lag, which need it, say nothing more."""
    found = {finding.subject: finding.state for finding in examine(Settings(data_dir=tmp_path))}

    assert found == {
        "python": "ok",
        "data directory": "ok",
        "clock": "ok",
        "database": "note",
        "broker": "wrong",
    }
