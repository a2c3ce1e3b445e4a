"""Which model answered when."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backtest.report.champions import champion_days, champion_spans
from backtest.report.run_lines import RunLines
from backtest.report.scored import read_predictions
from tests.unit.backtest.shops import EPOCH, FIRST, prediction, write_predictions

if TYPE_CHECKING:
    from pathlib import Path

START = (FIRST - EPOCH).days
LOG = RunLines(champions={START + 100: "btyd", START + 130: "online"})


def test_spans_follow_the_predictions_by_majority(tmp_path: Path) -> None:
    """A day is the model's that answered most of its moments; a span lasts until the next begins or the log ends."""
    rows = [
        prediction("a", 10, 1, champion="btyd"),
        prediction("b", 20, 1, champion="online"),
        prediction("c", 20, 1, champion="online"),
        prediction("d", 20, 1, champion="btyd"),
        prediction("e", 25, 1, champion="online"),
        prediction("f", 26, 1),
        prediction("g", 40, 1, champion="btyd"),
    ]
    spans = champion_spans(read_predictions(write_predictions(tmp_path / "p.csv", rows)), LOG, START + 49)
    shown = [(begin - START, end - START, name) for begin, end, name in spans]
    assert shown == [(10, 20, "btyd"), (20, 40, "online"), (40, 50, "btyd")]
    assert champion_days(spans) == {"btyd": 20, "online": 20}


def test_the_run_log_stands_in(tmp_path: Path) -> None:
    """Where the file names no champion, the run log's changes count; without either there are no spans."""
    given = read_predictions(write_predictions(tmp_path / "p.csv", [prediction("a", 10, 1)]))
    spans = [(START + 100, START + 130, "btyd"), (START + 130, START + 200, "online")]
    assert champion_spans(given, LOG, START + 199) == spans
    assert champion_spans(given, RunLines(), START + 199) == []
