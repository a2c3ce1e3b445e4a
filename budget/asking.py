"""From what is stored to a split: complete weeks of campaigns, segments as they stand, and what is spent now."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from budget.allocation import allocate
from budget.proposal import Position, Request
from budget.response import NoResponse, Response, Spent, fit_response
from clv.outcomes import SEGMENTS, Segment

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from budget.proposal import Allocation

_WEEK_DAYS = 7
NO_FIGURES = "no campaign figures with segments are known"


class Standing(NamedTuple):
    """A segment's customers and the sums of their CLV and its interval, minor units."""

    customers: int
    clv_minor: int
    lower_minor: int
    upper_minor: int

    def mean_minor(self, total_minor: int) -> int:
        """Return a sum by customer, rounded half up; 0 without customers."""
        return (2 * total_minor + self.customers) // (2 * self.customers) if self.customers else 0


class BudgetNow(NamedTuple):
    """A segment's budget a day at the platform, the least it takes (minor units), and what keeps it from changing."""

    daily_minor: int
    minimum_minor: int
    is_learning: bool
    edits_last_hour: int


def split_budget(  # noqa: PLR0913  # all but the first three by keyword
    total_minor: int,
    standings: Mapping[Segment, Standing],
    weeks: Sequence[tuple[str, int, int, int, int]],
    *,
    margin: float = 1.0,
    horizon_days: int = 90,
    budget_days: int = 7,
    budgets: Mapping[str, BudgetNow] = MappingProxyType({}),
    most: Mapping[Segment, int] = MappingProxyType({}),
    distrust: str = "",
) -> Allocation:
    """Split a budget by what is known.

    Parameters
    ----------
    weeks
        Segment, week, days of it that were seen, spend and value in minor units. Weeks that are not whole are left out;
        the last whole one says what is spent now.
    budget_days
        For how many days the total is: it is taken to be spent evenly.
    budgets
        How segments stand at the platform; where one is not known, what it spent in the last whole week counts.
    most
        What pacing allows (``clv.pacing``); segments that are not in it are not paced.
    distrust
        Why the models should not move money now; empty where they may.

    Examples
    --------
    >>> found = split_budget(1_000, {}, [])
    >>> [each.amount_minor for each in found.segments], found.fallback
    ([500, 350, 150], 'no campaign figures with segments are known')
    """
    rows = [
        Spent(segment, week, spend, value)
        for segment, week, days, spend, value in weeks
        if segment in SEGMENTS and days == _WEEK_DAYS
    ]
    last = max((row.week for row in rows), default=-1)
    present = {row.segment: row.spend_minor for row in rows if row.week == last}
    positions = {
        segment: _position(
            standings.get(segment, Standing(0, 0, 0, 0)),
            present.get(segment),
            budgets.get(segment),
            budget_days,
            most.get(segment),
        )
        for segment in SEGMENTS
    }
    request = Request(
        total_minor=total_minor,
        positions=positions,
        margin=margin,
        horizon_days=horizon_days,
        distrust=distrust,
    )
    response = fit_response(rows) if rows else NoResponse(NO_FIGURES)
    if isinstance(response, Response):
        response = response.over(budget_days / _WEEK_DAYS)
    return allocate(request, response)


def _position(
    standing: Standing, spent_minor: int | None, budget: BudgetNow | None, days: int, most_minor: int | None
) -> Position:
    known = budget or BudgetNow(0, 0, is_learning=False, edits_last_hour=0)
    return Position(
        customers=standing.customers,
        mean_clv_minor=standing.mean_minor(standing.clv_minor),
        lower_minor=standing.mean_minor(standing.lower_minor),
        upper_minor=standing.mean_minor(standing.upper_minor),
        amount_minor=known.daily_minor * days if known.daily_minor else spent_minor,
        minimum_minor=known.minimum_minor * days,
        most_minor=most_minor,
        edits_last_hour=known.edits_last_hour,
        is_learning=known.is_learning,
    )


MOST_BEHIND_MS = 14 * 86_400_000
"""Event time by which a model may be behind, and for which an alarm counts."""


NEEDED_ROLES = frozenset({"worker", "sink", "trainer"})
"""Roles without which figures grow stale."""


def distrust(
    *, version: str, learned_through_ms: int, reached_ms: int, alarms: Sequence[tuple[str, int]], roles: Collection[str]
) -> str:
    """Say why models should not move money now, empty where they may.

    Parameters
    ----------
    version
        Of what answers; empty where nothing has been published.
    learned_through_ms, reached_ms
        Event times, epoch milliseconds: how far it has learned, and how far events have come.
    alarms
        Detectors that fired and when, event time.
    roles
        That are alive.
    """
    if not version:
        return "no model has been published yet"
    if missing := sorted(NEEDED_ROLES.difference(roles)):
        return f"no {missing[0]} is running: the figures may be stale"
    if reached_ms - learned_through_ms > MOST_BEHIND_MS:
        return f"the model is {(reached_ms - learned_through_ms) // 86_400_000} days of event time behind"
    firing = sorted({name for name, at_ms in alarms if at_ms > reached_ms - MOST_BEHIND_MS})
    return f"drift was noticed within two weeks: {', '.join(firing)}" if firing else ""
