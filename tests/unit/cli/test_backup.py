"""``clv backup`` and ``clv restore``, on SQLite."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING

from sqlalchemy import insert

from cli.main import run
from clv.settings import Settings
from storage import tables
from storage.api_keys import create_key, list_keys
from storage.engine import Database
from storage.schema import upgrade

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

COMMANDS = {"backup": "cli.backup", "restore": "cli.restore"}


def _database(folder: Path) -> Database:
    url = Settings(data_dir=folder).sql_url
    upgrade(url)
    return Database(url)


def test_a_backup_comes_back_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both commands count rows; a second restore is refused until it is told to replace; --check touches nothing."""
    with closing(_database(tmp_path / "one")) as database:
        create_key(database, "team", ["read"])
    capsys.readouterr()  # where logs are not set up they go to standard output
    file = tmp_path / "one.clvbackup"
    monkeypatch.setenv("CLV_DATA_DIR", str(tmp_path / "one"))
    assert run(["backup", str(file), "--json"], COMMANDS) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["rows"], said["tables"]["api_keys"], said["bytes"]) == (1, 1, file.stat().st_size)
    assert run(["backup", str(file)], COMMANDS) == 1
    assert "exists already" in capsys.readouterr().err

    monkeypatch.setenv("CLV_DATA_DIR", str(tmp_path / "two"))
    assert run(["restore", str(file), "--check"], COMMANDS) == 0
    assert not (tmp_path / "two" / "clv.db").exists()
    assert run(["restore", str(file)], COMMANDS) == 0
    with closing(_database(tmp_path / "two")) as database:
        assert [key.name for key in list_keys(database)] == ["team"]
    capsys.readouterr()
    assert run(["restore", str(file)], COMMANDS) == 1
    assert "--replace" in capsys.readouterr().err
    assert run(["restore", str(file), "--replace"], COMMANDS) == 0


def test_the_suppression_key_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is in no backup: the one command says that it has to be kept, the other that it has to be put back."""
    with closing(_database(tmp_path / "one")) as database, database.writing() as connection:
        row = {"digest": "d", "cause": "erased", "at_ms": 1}
        connection.execute(insert(tables.suppressions), [row])
    (tmp_path / "one" / "suppression.key").write_text("secret")
    monkeypatch.setenv("CLV_DATA_DIR", str(tmp_path / "one"))
    assert run(["backup", str(tmp_path / "a")], COMMANDS) == 0
    assert "keep" in capsys.readouterr().err
    assert b"secret" not in (tmp_path / "a").read_bytes()
    monkeypatch.setenv("CLV_DATA_DIR", str(tmp_path / "two"))
    assert run(["restore", str(tmp_path / "a")], COMMANDS) == 0
    assert "1 suppressions cannot be read" in capsys.readouterr().err
