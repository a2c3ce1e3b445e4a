"""A log cut into whole event-days."""

from __future__ import annotations

from backtest.days import days_of
from clv.rules import DAY_MS
from tests.unit.backtest.logs import DAY0_MS, order

FIRST = DAY0_MS // DAY_MS


def test_every_day_comes_once_and_holds_its_events() -> None:
    """Days without an event are there, and the last day is as whole as the others."""
    events = [order("a", 0.5, 100), order("b", 0.9, 100), order("a", 3.0, 100), order("b", 3.2, 100)]
    days = list(days_of(events))
    assert [day.number - FIRST for day in days] == [0, 1, 2, 3]
    assert [day.events for day in days] == [events[:2], [], [], events[2:]]
    assert [day.end_ms for day in days] == [DAY0_MS + n * DAY_MS for n in (1, 2, 3, 4)]


def test_a_cut_log_has_the_same_days_up_to_the_cut() -> None:
    """The day before the cut does not know that it is the last."""
    events = [order("a", 0.5, 100), order("b", 1.0, 100), order("a", 2.9, 100)]
    assert list(days_of(events[:2])) == list(days_of(events))[:2]


def test_an_empty_log_has_no_day() -> None:
    """Nothing happened at no time."""
    assert list(days_of([])) == []


def test_one_wrong_year_adds_no_days() -> None:
    """A time years ahead, on which nobody agrees, lies on the day at which it came."""
    wrong = order("b", 5_000, 100)
    days = list(days_of([order("a", 0, 100), order("a", 1, 100), wrong]))
    assert [day.number - FIRST for day in days] == [0, 1]
    assert days[1].events[1] is wrong
