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
        (["rotate", "nothing"], "no key 'nothing' holds"),
        (["rotate", "nothing", "--overlap-hours", "1e9"], "an overlap of 1e+09 hours cannot be"),
    ],
)
def test_what_cannot_be_is_said(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One line and a hint, and an exit code that is not 0."""
    assert run(["keys", *arguments], COMMANDS) == 1
    assert says in capsys.readouterr().err


def test_a_rotated_key_holds_while_its_callers_change_over(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The new one has its name and scopes; without an overlap the old one holds no longer, and is rotated once."""
    keys = []
    run(["keys", "create", "shop", "--scope", "read"], COMMANDS)
    keys.append(capsys.readouterr().out.strip())
    for overlap in ("1", "0"):
        assert run(["keys", "rotate", keys[-1].split("_")[1], "--overlap-hours", overlap], COMMANDS) == 0
        keys.append(capsys.readouterr().out.strip())
    assert [_is_known(data_dir, key) for key in keys] == [True, False, True]
    assert run(["keys", "rotate", keys[0].split("_")[1]], COMMANDS) == 1
    assert "holds without an end" in capsys.readouterr().err
    assert run(["keys", "revoke", keys[0].split("_")[1]], COMMANDS) == 0
    assert not _is_known(data_dir, keys[0])
    capsys.readouterr()
    run(["keys", "list", "--json"], COMMANDS)
    shown = json.loads(capsys.readouterr().out)["keys"]
    assert [(key["name"], key["scopes"]) for key in shown] == [("shop", ["read"])] * 3


def test_what_is_done_to_keys_is_logged_without_them(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Made, rotated and revoked, each with the key's id; no secret is in a line."""
    run(["keys", "create", "shop", "--scope", "read"], COMMANDS)
    made = capsys.readouterr()
    key_id = made.out.split("_")[1]
    run(["keys", "rotate", key_id], COMMANDS)
    rotated = capsys.readouterr()
    run(["keys", "revoke", key_id], COMMANDS)
    said = made.err + rotated.err + capsys.readouterr().err
    for event in ("api key made", "api key rotated", "api key revoked"):
        (line,) = (line for line in said.splitlines() if event in line)
        assert key_id in line
    for key in (made.out, rotated.out):
        assert key.strip().split("_", 2)[2] not in said
