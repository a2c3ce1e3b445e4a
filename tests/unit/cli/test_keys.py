"""``clv keys``: made, listed without secrets, revoked."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from cli.main import run
from clv.settings import Settings
from storage.api_keys import find_key
from storage.engine import Database

if TYPE_CHECKING:
    from pathlib import Path

COMMANDS = {"keys": "cli.keys"}


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep the database in the test's folder."""
    monkeypatch.setenv("CLV_DATA_DIR", str(tmp_path))
    return tmp_path


def _is_known(data_dir: Path, key: str) -> bool:
    database = Database(Settings(data_dir=data_dir).sql_url)
    try:
        return find_key(database, key) is not None
    finally:
        database.close()


def test_a_key_lives_until_it_is_revoked(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The key is printed once and holds; the list shows who has it and what for, and no secret; revoked, it is none."""
    assert run(["keys", "create", "shop", "--scope", "read", "--scope", "predict"], COMMANDS) == 0
    key = capsys.readouterr().out.strip()
    assert _is_known(data_dir, key)

    assert run(["keys", "list", "--json"], COMMANDS) == 0
    listed = capsys.readouterr().out
    (shown,) = json.loads(listed)["keys"]
    assert (shown["name"], shown["scopes"], shown["revoked_at"]) == ("shop", ["predict", "read"], "")
    assert key.split("_", 2)[2] not in listed

    assert run(["keys", "revoke", shown["id"]], COMMANDS) == 0
    assert not _is_known(data_dir, key)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["create", "shop", "--scope", "admin"], "'admin' is not a scope"),
        (["revoke", "nothing"], "there is no key 'nothing'"),
    ],
)
def test_what_cannot_be_is_said(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One line and a hint, and an exit code that is not 0."""
    assert run(["keys", *arguments], COMMANDS) == 1
    assert says in capsys.readouterr().err
