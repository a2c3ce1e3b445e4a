"""Pacing: how much of a segment's money for the calendar month is left for the days that a budget is for."""

from __future__ import annotations

import calendar
from datetime import date, timedelta
from typing import TYPE_CHECKING

from clv.errors import ConfigError, InvalidEvent
from clv.money import to_minor
from clv.outcomes import SEGMENTS, Segment

if TYPE_CHECKING:
    from collections.abc import Mapping

_HINT = "for example High-CLV=9000,Low-CLV=500"


def monthly_most(text: str, digits: int) -> dict[Segment, int]:
    """Read ``CLV_BUDGET_MONTHLY_MOST``: what a segment may cost in a calendar month, in minor units.

    Raises
    ------
    ConfigError
        When a name is no segment or given twice, or an amount cannot be read or is negative.

    Examples
    --------
    >>> monthly_most("High-CLV=9000,Low-CLV=500.50", 2)
    {'High-CLV': 900000, 'Low-CLV': 50050}
    """
    found: dict[Segment, int] = {}
    for part in filter(None, (each.strip() for each in text.split(","))):
        name, _, amount = part.partition("=")
        segment = next((each for each in SEGMENTS if each == name), None)
        if segment is None:
            raise ConfigError(f"CLV_BUDGET_MONTHLY_MOST: {name!r} is no segment", _HINT)
        if segment in found:
            raise ConfigError(f"CLV_BUDGET_MONTHLY_MOST names {segment} twice", _HINT)
        try:
            found[segment] = to_minor(amount, digits)
        except InvalidEvent as problem:
            raise ConfigError(f"CLV_BUDGET_MONTHLY_MOST: {segment}: {problem}", _HINT) from problem
        if found[segment] < 0:
            raise ConfigError(f"CLV_BUDGET_MONTHLY_MOST: {segment} is negative", _HINT)
    return found


def paced(
    monthly: Mapping[Segment, int], spent: Mapping[str, int], *, last_day: date | None, days: int
) -> dict[Segment, int]:
    """Return what each segment may cost at most in the days after the last one whose figures are known, minor units.

    Of the month of that last day what has not been spent; of a later one that they reach into, its part by days.

    Parameters
    ----------
    monthly
        Most of a calendar month.
    spent
        By segment, in the month of ``last_day`` up to it, that day included.
    last_day
        None where no figures are known: then nothing is paced.
    days
        That the budget is for.

    Examples
    --------
    >>> paced({"High-CLV": 3_000}, {"High-CLV": 2_000}, last_day=date(2024, 6, 20), days=10)
    {'High-CLV': 1000}
    >>> paced({"High-CLV": 3_100}, {"High-CLV": 2_000}, last_day=date(2024, 6, 20), days=25)
    {'High-CLV': 2600}
    """
    if last_day is None:
        return {}
    counts: dict[tuple[int, int], int] = {}
    for number in range(1, days + 1):
        day = last_day + timedelta(days=number)
        counts[day.year, day.month] = counts.get((day.year, day.month), 0) + 1
    known = (last_day.year, last_day.month)
    most: dict[Segment, int] = {}
    for segment, amount in monthly.items():
        left = max(amount - spent.get(segment, 0), 0)
        most[segment] = sum(
            left if month == known else amount * count // calendar.monthrange(*month)[1]
            for month, count in counts.items()
        )
    return most
