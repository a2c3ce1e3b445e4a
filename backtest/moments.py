"""The protocol's moments: at which days' ends which customers are predicted.

At the end of each day on which a customer's amounts, refunds being negative, add up to more than nothing; and 30, 60,
90, 180, 270 and 365 days after the first such day, where that day is none itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec

from clv.events import OrderPlaced, OrderRefunded
from clv.rules import DAY_MS

if TYPE_CHECKING:
    from backtest.days import Day

TICK_DAYS = (30, 60, 90, 180, 270, 365)
MomentKind = Literal["order", "tick"]


class DueMoment(NamedTuple):
    """A customer who is to be predicted at the end of the day."""

    customer_id: str
    kind: MomentKind


class CalendarState(msgspec.Struct):
    """Who has had a first day, and whose ticks lie on which day ahead (day number → customers)."""

    known: set[str] = set()
    ticks: dict[int, list[str]] = {}


class Calendar:
    """Tells the moments of one day after the other; ``state`` changes in place."""

    def __init__(self, state: CalendarState | None = None) -> None:
        self.state = state or CalendarState()

    def moments(self, day: Day) -> list[DueMoment]:
        """Return a day's moments, ordered by customer; days are given in their order, each once."""
        state = self.state
        bought = {customer for customer, net_minor in _net_minor(day).items() if net_minor > 0}
        for customer in sorted(bought - state.known):
            state.known.add(customer)
            for days in TICK_DAYS:
                state.ticks.setdefault(day.number + days, []).append(customer)
        silent = set(state.ticks.pop(day.number, ())) - bought
        due = [*(DueMoment(one, "order") for one in bought), *(DueMoment(one, "tick") for one in silent)]
        return sorted(due)


def _net_minor(day: Day) -> dict[str, int]:
    net: dict[str, int] = {}
    for event in day.events:
        if event.occurred_ms // DAY_MS != day.number:
            continue
        if isinstance(event, OrderPlaced):
            net[event.customer_id] = net.get(event.customer_id, 0) + event.total_minor
        elif isinstance(event, OrderRefunded):
            net[event.customer_id] = net.get(event.customer_id, 0) - event.amount_minor
    return net
