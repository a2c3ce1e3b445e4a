"""Run logs: what is taken from them, and what they may lack."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from backtest.report.run_lines import RunLines, read_run_lines
from clv.errors import InputError
from models.card import Importance
from tests.unit.backtest.shops import write_run_log

if TYPE_CHECKING:
    from pathlib import Path

IMPORTANCE = {
    "version": "v",
    "example_count": 300,
    "deviance": 2.5,
    "groups": {"history": 0.5},
    "features": {"order_count": -0.01},
}


def day(text: str) -> int:
    """Return a date's days since 1970."""
    return int(np.datetime64(text, "D").astype(np.int64))


def test_a_run_log_tells_champions_weights_importance_and_refits(tmp_path: Path) -> None:
    """Weights add up to one, largest first; the newest importance stands; lines may come in any order."""
    path = write_run_log(
        tmp_path / "run.jsonl",
        [
            {"kind": "refit", "as_of": "2024-05-01", "importance": IMPORTANCE, "weights": {"btyd": 2, "x": 2}},
            {"kind": "refit", "as_of": "2024-04-01T00:00:00Z", "importance": IMPORTANCE | {"version": "older"}},
            {"kind": "week", "as_of": "2024-05-02", "importance": None},
            {"kind": "champion", "as_of": "2024-04-15", "champion": "online"},
            {
                "kind": "week",
                "as_of": "2024-04-18",
                "alarms": [{"detector": "error:order", "at": "2024-04-16T00:00:00Z", "before": 1.0, "after": 0.5}],
            },
        ],
    )
    assert read_run_lines(path) == RunLines(
        champions={day("2024-04-15"): "online"},
        weights={day("2024-05-01"): {"btyd": 0.5, "x": 0.5}},
        importance=Importance("v", 300, 2.5, groups={"history": 0.5}, features={"order_count": -0.01}),
        importance_day=day("2024-05-01"),
        refit_days=(day("2024-04-01"), day("2024-05-01")),
        alarms=((day("2024-04-16"), "error:order", 1.0, 0.5),),
    )


def test_what_is_not_known_or_makes_no_sense_is_passed_over(tmp_path: Path) -> None:
    """Lines grow with time, and a part that is odd costs its figure only."""
    path = write_run_log(
        tmp_path / "run.jsonl",
        [
            {},
            {"kind": "new", "as_of": None},
            {"kind": "week", "as_of": "someday", "champion": "x"},
            {"kind": "week", "as_of": "2024-04-15", "champion": 3, "weights": [1], "importance": {"a": "much", "b": 0}},
            {"kind": "week", "as_of": "2024-04-15", "alarms": [1, {"at": "2024-04-16"}, {"detector": "x", "at": "?"}]},
        ],
    )
    assert read_run_lines(path) == RunLines()


@pytest.mark.parametrize("content", [None, b"{", b"[1]\n", b"\xff\n"], ids=["none", "half", "list", "bytes"])
def test_another_file_is_refused(tmp_path: Path, content: bytes | None) -> None:
    """What is no run log is said to be none."""
    path = tmp_path / "run.jsonl"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match="run log"):
        read_run_lines(path)
