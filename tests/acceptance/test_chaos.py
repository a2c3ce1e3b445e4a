"""A short campaign of faults on a real Kafka: nothing lost, nothing extra, nobody stuck; and the checks can fail."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.chaos.checks import compare, compare_counts
from benchmarks.chaos.faults import KINDS
from benchmarks.chaos.recomputed import recompute
from benchmarks.chaos.shop import ClosedForm, Shop, customer_id
from cli.main import run
from clv import ledger
from clv.pipeline import Record
from clv.rules import Rules
from clv.state import decode_row, incarnation_code

COMMANDS = {"chaos": "cli.chaos"}
FAULTS = 10
ROOT = Path(__file__).parents[2]


@pytest.mark.kafka
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("kafka_libs")
def test_a_short_campaign_loses_adds_and_sticks_nothing(tmp_path: Path) -> None:
    """Ten faults of as many kinds, every row, event and offset checked afterwards; work went on after each."""
    out = tmp_path / "report.json"
    options = ("--faults", str(FAULTS), "--seed", "15", "--outage-seconds", "10", "--customers", "800", "--rate", "300")
    command = [sys.executable, "-m", "cli.main", "chaos", *options, "--json", "--out", str(out)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=False)
    report: dict[str, Any] = json.loads(out.read_text())
    wrong = {name: place for run in report["runs"] for name, place in run["places"].items() if place["example"]}
    assert ({name: report[name] for name in ("lost", "extra", "stuck")}, wrong) == (
        {"lost": 0, "extra": 0, "stuck": 0},
        {},
    )
    assert done.returncode == 0
    assert report["faults"] == FAULTS == len(report["kinds"])
    assert set(report["kinds"]) <= set(KINDS)
    assert all(fault["lag"] > 0 for run in report["runs"] for fault in run["faults"])
    assert all(place["compared"] for name, place in report["runs"][0]["places"].items() if name.startswith("topic"))
    assert json.loads(done.stdout) == report


def test_the_closed_form_is_what_the_records_add_up_to() -> None:
    """Counts, sums, extremes and moments of every customer, refunds and repeats included."""
    days, shop = 13, Shop(70, seed=3)
    records = [
        Record(offset, sent.key, sent.value)
        for offset, sent in enumerate(sent for day in range(days) for sent in shop.day(day))
    ]
    rows = recompute(0, records, Rules(), "t1").rows
    found = {}
    for name, row in rows.items():
        state = decode_row(row, incarnation_code("t1")).state
        amounts = [entry.amount_minor for entry in ledger.unpack(state.ledger) if entry.kind == ledger.ORDER]
        totals = state.totals
        found[name] = ClosedForm(
            *(totals.order_count, totals.revenue_minor, totals.refunded_minor, min(amounts), max(amounts)),
            *(totals.first_order_ms, totals.last_order_ms),
        )
    assert found == {customer_id(n): shop.expected(n, days=days) for n in range(70)}


def test_differences_are_counted() -> None:
    """Missing or wrong is lost, unexpected is extra; in collections every single thing counts."""
    assert compare({1: "a", 2: "b", 3: "c"}, {2: "x", 3: "c", 4: "d"})[:3] == (2, 1, 3)
    assert compare_counts("aabc", "abcd")[:3] == (1, 1, 4)


def test_an_unknown_kind_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """One line, and which there are."""
    assert run(["chaos", "--kinds", "earthquake"], COMMANDS) == 1
    said = capsys.readouterr().err
    assert "no kind 'earthquake'" in said
    assert "kill_worker" in said
