"""``clv train`` from the command line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from cli.main import run
from tests.unit.streams.shop import PARTITIONS, open_database, shop, store

if TYPE_CHECKING:
    from pathlib import Path

COMMANDS = {"train": "cli.train", "models": "cli.models"}


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run in the test's folder, with two partitions."""
    monkeypatch.setenv("CLV_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("CLV_PARTITIONS", str(PARTITIONS))
    return tmp_path


def test_figures_are_one_json_object(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Version, data behind it, and that there was no broker to announce it to."""
    database = open_database(data_dir)
    store(database, shop(120))
    database.close()
    assert run(["train", "--json"], COMMANDS) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["version"].startswith("000001-")
    assert (figures["customers"], figures["champion"], figures["announced"]) == (120, "blend", False)
    assert figures["learned_through_at"] == "2024-04-29T00:00:00Z"
    assert set(figures["metrics"]["btyd"]) == {"examples", "deviance", "mae", "ratio"}


def test_people_are_told_what_is_missing(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Too few examples for an ensemble, and nobody to announce to, are said beside the figures."""
    database = open_database(data_dir)
    store(database, shop(120))
    database.close()
    assert run(["train"], COMMANDS) == 0
    said = capsys.readouterr()
    assert "customers  120" in said.out
    assert "too few matured examples" in said.err
    assert "the trainer announces it" in said.err


def test_too_little_data_is_an_error_with_a_hint(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An empty database ends with one line and what to do; so does none at all."""
    open_database(data_dir).close()
    assert run(["train"], COMMANDS) == 1
    assert "hint: send orders first" in capsys.readouterr().err
    (data_dir / "clv.db").unlink()
    assert run(["train"], COMMANDS) == 1
    assert "there is no database" in capsys.readouterr().err
