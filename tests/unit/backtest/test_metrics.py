"""What came true: labels and errors by the protocol's words."""

from __future__ import annotations

import csv
import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from backtest.metrics import NetRevenue, evaluate
from clv.events import OrderPlaced, OrderRefunded
from clv.rules import DAY_MS
from tests.unit.backtest.logs import DAY0_MS, ListLog, order, refund, shop_log

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

DAY0 = DAY0_MS // DAY_MS
HORIZON = 10


def realised(log: ListLog, customer: str, day: int, horizon: int) -> int:
    """Add up what a customer brought in (day, day + horizon], event by event."""
    total = 0
    for event in log:
        if event.customer_id == customer and day < event.occurred_ms // DAY_MS <= day + horizon:
            total += event.total_minor if isinstance(event, OrderPlaced) else 0
            total -= event.amount_minor if isinstance(event, OrderRefunded) else 0
    return max(total, 0)


def test_labels_are_the_net_of_the_days_after() -> None:
    """The day of the moment is out, the last of the horizon in, and nothing is below zero."""
    log = ListLog([order("a", 0, 100), order("a", 5, 200), order("b", 5, 7), order("a", 10.9, 400), refund("b", 9, 20)])
    net = NetRevenue(log)
    days = np.array([DAY0, DAY0 + 1, DAY0 + 5, DAY0 + 11, DAY0])
    assert net.after(["a", "a", "a", "a", "b"], days, 10).tolist() == [600, 600, 400, 0, 0]


def test_labels_of_a_shop_are_a_plain_sum() -> None:
    """Every customer, every tenth day, three horizons."""
    log = shop_log(30, 120)
    net = NetRevenue(log)
    places = [(c, DAY0 + d) for c in sorted({event.customer_id for event in log}) for d in range(0, 120, 10)]
    for horizon in (1, 30, 90):
        found = net.after([customer for customer, _ in places], np.array([day for _, day in places]), horizon)
        assert found.tolist() == [realised(log, customer, day, horizon) for customer, day in places]


def write(path: Path, rows: Sequence[tuple[object, ...]]) -> Path:
    """Write predictions with two candidates."""
    columns = ("customer_id", "as_of", "kind", "predicted", "lower", "upper", "btyd", "online", "champion")
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([(*columns, "scorer_version"), *((*row, "btyd", "v1") for row in rows)])
    return path


def test_figures_are_of_the_scored_moments_by_candidate_and_kind(tmp_path: Path) -> None:
    """From day H + 15 to the last day less H; a candidate is judged where it answered."""
    log = ListLog([order("NA", 0, 100), order("1", 30, 1_000), order("NA", 34, 2_000), order("1", 60, 1)])
    path = write(
        tmp_path / "p.csv",
        [
            ("NA", "2024-01-25", "order", 99, 0, 999, 99, ""),  # day 24: before the first scored day
            ("1", "2024-01-26", "order", 8, 0, 9, 12, ""),
            ("NA", "2024-01-26", "tick", 30, 10, 40, "", 20),
            ("NA", "2024-02-20", "tick", 1, 0, 2, 5, 1),  # day 50: the last scored day
            ("1", "2024-02-21", "tick", 99, 0, 999, 99, 99),
        ],
    )
    found = evaluate(path, NetRevenue(log), first_day=DAY0, last_day=DAY0 + 60, horizon_days=HORIZON, digits=2)
    assert (found.first_day - DAY0, found.last_day - DAY0) == (25, 50)
    mae = {name: {kind: one.mae for kind, one in by.items()} for name, by in found.scored.items()}
    assert mae["predicted"] == pytest.approx({"all": 13 / 3, "order": 2, "tick": (10 + 1) / 2})
    assert mae["btyd"] == pytest.approx({"all": (2 + 5) / 2, "order": 2, "tick": 5})
    assert mae["online"] == pytest.approx({"all": 0.5, "tick": 0.5})
    assert found.scored["predicted"]["all"].ratio == pytest.approx(39 / 30)
    assert found.coverage == pytest.approx(2 / 3)


def test_the_deviance_is_tweedies(tmp_path: Path) -> None:
    """Of power 1.5 by its definition, 2 (y^.5/(-.25) + 2 y p^-.5 + 2 p^.5), predictions no less than a thousandth."""
    log = ListLog([order("a", 0, 100), order("a", 30, 900), order("a", 60, 1)])
    path = write(
        tmp_path / "p.csv",
        [("a", "2024-01-26", "tick", 4, 0, 9, "", ""), ("a", "2024-02-20", "tick", 0, 0, 9, "", "")],
    )
    found = evaluate(path, NetRevenue(log), first_day=DAY0, last_day=DAY0 + 60, horizon_days=HORIZON, digits=2)
    floor = 4.505 / 1000

    def deviance(actual: float, predicted: float) -> float:
        known = math.sqrt(actual) / ((1 - 1.5) * (2 - 1.5))
        return 2 * (known - actual / math.sqrt(predicted) / (1 - 1.5) + math.sqrt(predicted) / (2 - 1.5))

    expected = (deviance(9.0, 4.0) + deviance(0.01, floor)) / 2
    assert found.scored["predicted"]["all"].deviance == pytest.approx(expected)


def test_a_file_without_a_scored_moment_has_no_figures(tmp_path: Path) -> None:
    """Neither an empty one nor a log shorter than two horizons is an error."""
    for rows in ([], [("a", "2024-01-01", "order", 1, 0, 2, 1, 1)]):
        path = write(tmp_path / "p.csv", rows)
        found = evaluate(
            path, NetRevenue([order("a", 0, 1)]), first_day=DAY0, last_day=DAY0, horizon_days=HORIZON, digits=2
        )
        assert (found.scored, found.coverage) == ({}, None)
