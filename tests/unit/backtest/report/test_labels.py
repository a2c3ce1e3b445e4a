"""What customers brought after a moment, and which moments are due."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import numpy as np
import pytest

import backtest
from backtest.report.labels import due_moments, net_days, net_days_of, purchase_counts, realised, scored_span
from clv.events import EmailEngaged, OrderPlaced, OrderRefunded
from clv.rules import DAY_MS
from tests.unit.backtest import shops

MODULES = [module.name for module in pkgutil.walk_packages(backtest.__path__, "backtest.")]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name: str) -> None:
    """Each example in a docstring gives what it says."""
    assert doctest.testmod(importlib.import_module(name), raise_on_error=False).failed == 0


def test_events_become_net_days() -> None:
    """A refund lowers the day on which it came, midnight UTC parts days, and mails count for nothing."""
    net = net_days_of(
        [
            OrderPlaced("1", "ann", 3 * DAY_MS, "o1", 500),
            OrderPlaced("2", "ann", 3 * DAY_MS - 1, "o2", 40),
            OrderRefunded("3", "ann", 3 * DAY_MS + 5, "r1", 500),
            EmailEngaged("4", "bob", 9 * DAY_MS, "m", "sent"),
        ],
        currency="USD",
    )
    assert (net.names, net.day.tolist(), net.amount_minor.tolist()) == (("ann",), [2, 3], [40, 0])


def test_a_label_is_what_came_after_the_day_up_to_the_horizons_last() -> None:
    """The moment's own day does not count, the horizon's last day does, the day after it does not."""
    net = net_days(["a"] * 4, [10, 11, 100, 101], [1000, 200, 30, 4], currency="USD")
    labels = realised(net, np.array([0, 0, 0]), np.array([10, 11, 9]), 90)
    assert labels.tolist() == [2.30, 0.34, 12.0]


def test_a_label_is_not_below_zero() -> None:
    """Refunds can take all that came, never more."""
    net = net_days(["a", "a", "a"], [10, 20, 30], [1000, 500, -800], currency="USD")
    assert realised(net, np.array([0, 0]), np.array([10, 20]), 90).tolist() == [0.0, 0.0]


def test_a_label_holds_no_other_customers_money() -> None:
    """A horizon beyond the log's end does not run into the next customer."""
    net = net_days(["a", "b", "b"], [10, 0, 12], [1000, 500, 700], currency="USD")
    assert realised(net, np.array([0, 1]), np.array([10, 12]), 10_000).tolist() == [0.0, 0.0]


def test_money_is_in_major_units_of_the_currency() -> None:
    """A currency without decimals has no cents."""
    net = net_days(["a", "a"], [1, 2], [1000, 500], currency="JPY")
    assert realised(net, np.array([0]), np.array([1]), 90).tolist() == [500.0]


def test_due_are_purchase_days_and_ticks_between() -> None:
    """A day whose net is not positive is no purchase day; a tick falls out where there is an order."""
    rows = [("a", 110, 900), ("a", 140, 900), ("a", 150, 900), ("a", 150, -900), ("first", 0, 1), ("last", 299, 1)]
    net = shops.net_of(rows)
    due = due_moments(net, 90)
    found = [
        (net.names[c], d - net.first_day, o)
        for c, d, o in zip(due.customer.tolist(), due.day.tolist(), due.is_order.tolist(), strict=True)
    ]
    # a's ticks lie at 140 (an order), 170 and 200; first's at 30, 60, 90 (too early), 180 and 270 (too late).
    assert found == [("a", 110, True), ("a", 140, True), ("a", 170, False), ("a", 200, False), ("first", 180, False)]


def test_scored_moments_leave_room_to_learn_and_to_mature() -> None:
    """Scoring begins 15 days after the first horizon and ends a horizon before the log does."""
    net = shops.net_of([("a", 0, 1), ("a", 299, 1)])
    assert tuple(day - net.first_day for day in scored_span(net, 90)) == (105, 209)


def test_purchase_days_are_counted_up_to_the_moment() -> None:
    """The moment's own purchase day counts, later ones and days without a positive net do not."""
    net = net_days(["a"] * 4 + ["b"], [1, 5, 6, 9, 2], [100, 100, -50, 100, 100], currency="USD")
    assert purchase_counts(net, np.array([0, 0, 0, 1]), np.array([1, 7, 9, 9])).tolist() == [1, 2, 3, 1]
