"""``clv plan``: lines with their arithmetic, bounds and ends of measurement, cost only where prices are given."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from cli.main import run

if TYPE_CHECKING:
    from pathlib import Path

COMMANDS = {"plan": "cli.plan"}
SMALL = ("--customers", "500000", "--orders-per-second", "0.1")
LARGEST = ("--customers", "100000000", "--orders-per-second", "100000")


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLV_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "240")


def planned(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    """Return the object that the command prints."""
    assert run(["plan", *arguments, "--json"], COMMANDS) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_every_line_says_how_it_was_reckoned(capsys: pytest.CaptureFixture[str]) -> None:
    """No figure without."""
    found = planned(capsys, *SMALL)
    assert all(line["how"] for line in found["lines"].values())
    assert {line["part"] for line in found["lines"].values()} == {
        *("load", "workers", "trainer", "sinks", "SQL", "broker", "sum"),
    }
    assert "cost" not in found["lines"]


def test_a_small_shop_breaks_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """And is told at how many times its load something would."""
    found = planned(capsys, *SMALL)
    assert not [each["part"] for each in found["limits"] if each["is_passed"]]
    assert found["breaks_first"]["at_times_the_load"] > 1


def test_the_largest_passes_bounds_and_says_what_is_built_instead(capsys: pytest.CaptureFixture[str]) -> None:
    """Ledger and audiences do not keep up, and much was never measured; every way out says whether it exists."""
    found = planned(capsys, *LARGEST)
    passed = {each["part"]: each for each in found["limits"] if each["is_passed"]}
    assert {
        "orders in a ledger",
        "audiences",
        "models to workers",
        "sinks on PostgreSQL",
        "writes of one broker",
    } <= set(passed)
    for each in passed.values():
        assert each["instead"].startswith(("built:", "not built:", "not tried:"))
    assert (
        found["breaks_first"]["part"]
        == min((each for each in found["limits"] if each["is_bound"]), key=lambda each: each["factor"])["part"]
    )


def test_sqlite_is_bounded_by_its_one_writer(capsys: pytest.CaptureFixture[str]) -> None:
    """Where PostgreSQL takes more sinks."""
    found = planned(capsys, "--customers", "50000000", "--orders-per-second", "2000", "--database", "sqlite")
    assert found["lines"]["sinks"]["value"] == 1
    assert next(each for each in found["limits"] if each["part"] == "sink on SQLite")["is_passed"]


def test_it_is_shown_as_tables(capsys: pytest.CaptureFixture[str]) -> None:
    """With cost, headroom, what breaks and what was not measured."""
    assert run(["plan", *LARGEST, "--price-vcpu-hour", "0.04"], COMMANDS) == 0
    said = capsys.readouterr().out
    for part in ("a month, at the prices given", "PASSED", "This does not work as built", "Headroom", "Not measured"):
        assert part in said


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--customers", "0", "--orders-per-second", "1"), "--customers is 0"),
        (("--customers", "10", "--orders-per-second", "200000"), "--orders-per-second is 200,000"),
        ((*SMALL, "--store", "redis"), "--store is 'redis'"),
    ],
)
def test_bad_input_is_one_line_and_a_hint(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], says: str
) -> None:
    """And exit status 1."""
    assert run(["plan", *arguments], COMMANDS) == 1
    error, hint = capsys.readouterr().err.strip().splitlines()
    assert says in error
    assert hint.startswith("hint: ")
