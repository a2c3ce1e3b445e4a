"""What customers brought after a moment, from the order log alone: net days, moments that are due, matured labels.

Nothing here knows a prediction. Days are UTC and count from 1970-01-01; a moment is the end of its day.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from clv.events import OrderPlaced, OrderRefunded
from clv.money import minor_digits
from clv.rules import DAY_MS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from clv.events import CustomerEvent
    from clv.ports import Floats, Ints

TICK_DAYS = (30, 60, 90, 180, 270, 365)
"""Days after a customer's first purchase day at which a prediction is due without an order."""
WARM_UP_DAYS = 15
"""Moments are scored from this many days after the first horizon has passed: before, nothing can have been learnt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetDays:
    """Net revenue of each customer and UTC day with any order or refund, sorted by customer and day.

    Parameters
    ----------
    names
        Customer ids; ``customer`` holds positions in it.
    day
        UTC days since 1970-01-01, each at most once a customer.
    amount_minor
        Orders less refunds of that day, in minor units of ``currency``.
    """

    names: tuple[str, ...]
    customer: Ints
    day: Ints
    amount_minor: Ints
    currency: str = "USD"

    @property
    def first_day(self) -> int:
        """The log's first day."""
        return int(self.day.min())

    @property
    def last_day(self) -> int:
        """The log's last day."""
        return int(self.day.max())

    @property
    def unit(self) -> float:
        """Minor units in a major one."""
        return float(10 ** minor_digits(self.currency))

    def until(self, last_day: int) -> NetDays:
        """Return the table without the days after one, such as those of a wrong year."""
        kept = self.day <= last_day
        return replace(self, customer=self.customer[kept], day=self.day[kept], amount_minor=self.amount_minor[kept])

    def keys(self, customer: Ints, day: Ints) -> Ints:
        """Return one number for each customer and day of the log, ordered as this table is."""
        span = self.last_day - self.first_day + 1
        keys: Ints = customer * span + (day - self.first_day)
        return keys

    def purchases(self) -> Ints:
        """Return the positions of purchase days: those with a positive net."""
        return np.flatnonzero(self.amount_minor > 0)


class Moments(NamedTuple):
    """Customers and days at which a prediction is due, arrays (n,), sorted by the ``keys`` of their ``NetDays``."""

    customer: Ints
    day: Ints
    is_order: NDArray[np.bool_]


def net_days(
    customer_ids: Iterable[str], days: Iterable[int], amounts_minor: Iterable[int], *, currency: str
) -> NetDays:
    """Sum amounts, refunds negative, by customer and UTC day.

    Examples
    --------
    >>> net = net_days(["ann", "bob", "ann"], [3, 3, 3], [500, 700, -200], currency="USD")
    >>> list(zip(net.names, net.day.tolist(), net.amount_minor.tolist()))
    [('ann', 3, 300), ('bob', 3, 700)]
    """
    known: dict[str, int] = {}
    customer = np.array([known.setdefault(name, len(known)) for name in customer_ids], dtype=np.int64)
    day = np.array(list(days), dtype=np.int64)
    amount = np.array(list(amounts_minor), dtype=np.int64)
    order = np.lexsort((day, customer))
    customer, day, amount = customer[order], day[order], amount[order]
    begins = np.flatnonzero(np.r_[True, (np.diff(customer) != 0) | (np.diff(day) != 0)][: len(day)])
    return NetDays(
        names=tuple(known),
        customer=customer[begins],
        day=day[begins],
        amount_minor=np.add.reduceat(amount, begins) if len(begins) else amount,
        currency=currency,
    )


def net_days_of(events: Iterable[CustomerEvent], *, currency: str) -> NetDays:
    """Sum what orders brought and refunds took by customer and UTC day; other events count for nothing."""
    ids: list[str] = []
    days: list[int] = []
    amounts: list[int] = []
    for event in events:
        if isinstance(event, OrderPlaced | OrderRefunded):
            ids.append(event.customer_id)
            days.append(event.occurred_ms // DAY_MS)
            amounts.append(event.total_minor if isinstance(event, OrderPlaced) else -event.amount_minor)
    return net_days(ids, days, amounts, currency=currency)


def scored_span(net: NetDays, horizon_days: int) -> tuple[int, int]:
    """Return the first and last day of scored moments; the first is after the last where the log is too short."""
    return net.first_day + horizon_days + WARM_UP_DAYS, net.last_day - horizon_days


def due_moments(net: NetDays, horizon_days: int) -> Moments:
    """Return the moments that are scored: purchase days, and ticks without one, inside ``scored_span``."""
    bought = net.purchases()
    customer, day = net.customer[bought], net.day[bought]
    firsts = np.flatnonzero(np.r_[True, np.diff(customer) != 0][: len(day)])
    tick_customer = np.repeat(customer[firsts], len(TICK_DAYS))
    tick_day = (day[firsts][:, None] + np.array(TICK_DAYS, dtype=np.int64)).ravel()
    is_inside = tick_day <= net.last_day
    orders, ticks = net.keys(customer, day), net.keys(tick_customer[is_inside], tick_day[is_inside])
    is_free = ~np.isin(ticks, orders)
    everyone = np.r_[customer, tick_customer[is_inside][is_free]]
    days = np.r_[day, tick_day[is_inside][is_free]]
    is_order = np.r_[np.ones(len(orders), bool), np.zeros(int(is_free.sum()), bool)]
    first, last = scored_span(net, horizon_days)
    scored = np.flatnonzero((days >= first) & (days <= last))
    order = scored[np.argsort(net.keys(everyone[scored], days[scored]))]
    return Moments(everyone[order], days[order], is_order[order])


def realised(net: NetDays, customer: Ints, day: Ints, horizon_days: int) -> Floats:
    """Return each moment's label, (n,): net revenue in (day, day + horizon], not below zero, in major units."""
    keys = net.keys(net.customer, net.day)
    total = np.r_[0, np.cumsum(net.amount_minor)]
    low = np.searchsorted(keys, net.keys(customer, day), side="right")
    high = np.searchsorted(keys, net.keys(customer, np.minimum(day + horizon_days, net.last_day)), side="right")
    value: Floats = np.maximum(total[high] - total[low], 0) / net.unit
    return value


def purchase_counts(net: NetDays, customer: Ints, day: Ints) -> Ints:
    """Return each moment's number of purchase days so far, its own included, (n,)."""
    bought = net.purchases()
    keys = net.keys(net.customer[bought], net.day[bought])
    until = np.searchsorted(keys, net.keys(customer, day), side="right")
    since = np.searchsorted(keys, net.keys(customer, np.full_like(day, net.first_day)), side="left")
    counts: Ints = until - since
    return counts
