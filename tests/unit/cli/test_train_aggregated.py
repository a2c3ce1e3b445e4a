"""``clv train --from``: a model of aggregated customers from the command line."""

from __future__ import annotations

import csv
import json
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec
import pytest

from cli.aggregated import load
from cli.main import run
from clv.features import FEATURE_DIGEST, FEATURE_NAMES
from clv.published import POLICY_NAME
from clv.segments import SegmentPolicy
from storage.artifacts import Artifact, put_artifacts
from storage.sinking import write_batch
from tests.contract.storage.outputs import OutputTopics
from tests.unit.streams.shop import open_database

if TYPE_CHECKING:
    from pathlib import Path

COMMANDS = {"train": "cli.train", "generate": "cli.generate"}
COUNT = 300


@pytest.fixture
def customers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    """Give a generated file of customers whose last row is bad, in an empty data directory."""
    monkeypatch.setenv("CLV_DATA_DIR", str(tmp_path / "data"))
    path = tmp_path / "customers.csv"
    assert run(["generate", str(path), "--customers", "--count", str(COUNT), "--seed", "3"], COMMANDS) == 0
    with path.open("a") as file:
        file.write("bad,2024-01-02,2024-01-01,2,10.00,5.00,,,0.1,0\n")
    capsys.readouterr()
    return path


def _figures(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, object]:
    assert run(["train", *arguments, "--json"], COMMANDS) == 0
    figures: dict[str, object] = json.loads(capsys.readouterr().out)
    return figures


def test_figures_say_what_was_fitted_and_what_is_missing(customers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One JSON object: customers, bad rows by file, segments, and that there are no labels."""
    figures = _figures(capsys, "--from", str(customers))
    assert (figures["customers"], figures["rejected"], figures["labels"]) == (COUNT, 1, 0)
    assert sum(figures["segments"].values()) == COUNT  # type: ignore[attr-defined]
    assert figures["confidence"]["High"] == 0  # type: ignore[index]
    assert figures["correction"] is None
    rejects = (customers.parent / "data" / "rejects" / "customers.csv.csv").read_text().splitlines()
    assert rejects[1].startswith(f"{COUNT + 2},bad_time,last_purchase_date is before")


def test_people_are_told_that_nothing_was_compared(customers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The lesser accuracy stands beside the figures."""
    assert run(["train", "--from", str(customers)], COMMANDS) == 0
    said = capsys.readouterr().out
    assert "no labels" in said
    assert "docs/aggregated.md" in said


def test_the_model_is_stored_once_and_digest_checked(customers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same file again is the same version; another day is the next one, and is what is loaded."""
    first = _figures(capsys, "--from", str(customers))["version"]
    again = _figures(capsys, "--from", str(customers))["version"]
    later = _figures(capsys, "--from", str(customers), "--as-of", "2025-02-01")["version"]
    assert isinstance(first, str)
    assert isinstance(later, str)
    assert (first, first[:6], later[:6]) == (again, "000001", "000002")
    database = open_database(customers.parent / "data")
    found = load(database)
    database.close()
    assert found is not None
    assert found[0] == later


def test_scored_rows_add_up(customers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each customer's base and reasons sum to the prediction, to the cent, and CAC is 30 % of it."""
    out = customers.parent / "scored.csv"
    _figures(capsys, "--from", str(customers), "--out", str(out))
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == COUNT
    for row in rows:
        why = sum(Decimal(value) for name, value in row.items() if name.startswith("why_"))
        clv = Decimal(row["predicted_clv"])
        assert Decimal(row["base"]) + why == clv
        assert Decimal(row["clv_lower"]) <= clv <= Decimal(row["clv_upper"])
        assert abs(Decimal(row["recommended_cac"]) - clv * Decimal("0.3")) <= Decimal("0.005")


def test_published_cut_offs_decide_segments(customers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the trainer has published some, this file's percentiles give way to them."""
    (customers.parent / "data").mkdir()
    database = open_database(customers.parent / "data")
    policy = SegmentPolicy("000001-p", 0, high_minor=10**9, growth_minor=10**8)
    put_artifacts(database, [Artifact(POLICY_NAME, "000001-p", msgspec.json.encode(policy), 0)])
    database.close()
    figures = _figures(capsys, "--from", str(customers))
    assert figures["segments"] == {"High-CLV": 0, "Growth-Potential": 0, "Low-CLV": COUNT}


def test_examples_of_the_same_horizon_are_labels(customers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What has matured by the file's day and fits this build teaches; the rest is left alone."""
    outputs = OutputTopics()
    for number in range(1_200):
        known = {"order_count": 1.0, "customer_age_days": 50.0, "revenue_minor": 5_000.0}
        outputs.example(
            f"x{number}",
            f"c{number}",
            features=[known.get(name, 0.0) for name in FEATURE_NAMES],
            feature_digest=FEATURE_DIGEST if number < 800 else "another",
            horizon_days=90 if number >= 100 else 30,
            value_minor=0 if number % 3 else 20_000,
        )
    (customers.parent / "data").mkdir()
    database = open_database(customers.parent / "data")
    write_batch(database, outputs.batch())
    database.close()
    figures = _figures(capsys, "--from", str(customers))
    assert figures["labels"] == 700
    assert figures["correction"] is not None


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--as-of", "2024-06-01"], "customers bought later"),
        (["--as-of", "soon"], "a date, for example"),
        (["--out", "out.xls"], "another ending"),
        (["--rejects", "rejects.csv"], ""),
    ],
    ids=["too-early", "no-date", "ending", "fine"],
)
def test_what_cannot_be_done_is_said(
    customers: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    """One line and a hint."""
    arguments = [str(customers.parent / word) if "." in word else word for word in arguments]
    assert run(["train", "--from", str(customers), *arguments], COMMANDS) == bool(says)
    assert says in " ".join(capsys.readouterr().err.split())


def test_options_of_a_file_need_one(capsys: pytest.CaptureFixture[str]) -> None:
    """A day without a file is a mistake, not a retraining."""
    assert run(["train", "--as-of", "2024-06-01"], COMMANDS) == 1
    assert "add --from FILE" in capsys.readouterr().err
