"""``clv generate`` into files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from cli.main import run
from cli.replay import parse_days
from clv.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

COMMANDS = {"generate": "cli.generate"}


def _generate(*arguments: str) -> int:
    return run(["generate", *arguments, "--count", "20", "--days", "60"], COMMANDS)


@pytest.mark.parametrize("name", ["log.csv", "log.csv.gz", "events.jsonl", "events.jsonl.gz"])
def test_files_are_written_and_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    """The one JSON object says where and how much."""
    assert _generate(str(tmp_path / name), "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["file"] == str(tmp_path / name)
    assert said["lines"] > 20


def test_the_same_seed_writes_the_same_file(tmp_path: Path) -> None:
    """Disorder included."""
    rates = ("--late-rate", "0.1", "--duplicate-rate", "0.1", "--out-of-order-rate", "0.1")
    for name in ("a.jsonl", "b.jsonl"):
        assert _generate(str(tmp_path / name), "--seed", "5", *rates) == 0
    assert (tmp_path / "a.jsonl").read_bytes() == (tmp_path / "b.jsonl").read_bytes()


def test_aggregated_customers_are_one_row_each(tmp_path: Path) -> None:
    """The schema that ``clv import`` takes."""
    assert _generate(str(tmp_path / "customers.csv"), "--customers") == 0
    assert len((tmp_path / "customers.csv").read_text().splitlines()) == 21


@pytest.mark.parametrize("arguments", [("out.xls",), ("out.jsonl", "--customers"), ("out.csv", "--start", "soon")])
def test_what_cannot_be_done_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    """One line and a hint."""
    name, *options = arguments
    assert _generate(str(tmp_path / name), *options) == 1
    assert "hint:" in capsys.readouterr().err


def test_a_lead_is_a_number_of_days() -> None:
    """With or without the d."""
    assert [parse_days("7d"), parse_days("0")] == [7, 0]
    with pytest.raises(InputError):
        parse_days("a week")
