"""Logs to back-test: lists of events, and what happened on them, day by day, told again by other means."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clv.events import OrderPlaced, OrderRefunded, parse_time_ms
from clv.rules import DAY_MS
from producers.generator import Shop

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from clv.events import CustomerEvent

DAY0_MS = parse_time_ms("2024-01-01T00:00:00Z")
TICKS = (30, 60, 90, 180, 270, 365)


@dataclass(frozen=True)
class ListLog:
    """Events in a list, in event-time order (``backtest.runner.BacktestLog``)."""

    events: Sequence[CustomerEvent]
    digits: int = 2

    @property
    def key(self) -> str:
        """Identifies the events."""
        return hashlib.sha256(repr(list(self.events)).encode()).hexdigest()

    def __iter__(self) -> Iterator[CustomerEvent]:
        return iter(self.events)

    def until(self, day: int) -> ListLog:
        """Return the log cut after a day, counted from ``DAY0_MS``."""
        return ListLog([event for event in self.events if event.occurred_ms < DAY0_MS + (day + 1) * DAY_MS])


def order(customer: str, day: float, cents: int, *, number: int = 0) -> OrderPlaced:
    """Return an order on a day counted from ``DAY0_MS``, with an id of its own."""
    at_ms = DAY0_MS + round(day * DAY_MS)
    name = f"{customer}-{at_ms}-{cents}-{number}"
    return OrderPlaced(f"e-{name}", customer, at_ms, name, cents)


def refund(customer: str, day: float, cents: int, *, of: OrderPlaced | None = None) -> OrderRefunded:
    """Return a refund, of an order or of nothing in particular."""
    at_ms = DAY0_MS + round(day * DAY_MS)
    name = f"{customer}-r-{at_ms}-{cents}"
    return OrderRefunded(f"e-{name}", customer, at_ms, name, cents, of.order_id if of else "")


def shop_log(customers: int, days: int, *, seed: int = 1) -> ListLog:
    """Return a made-up shop's orders and refunds."""
    shop = Shop(seed=seed, customers=customers, start_ms=DAY0_MS, days=days)
    return ListLog([event for event in shop if isinstance(event, OrderPlaced | OrderRefunded)])


def expected_moments(log: ListLog) -> dict[tuple[str, int], str]:
    """Return customer and day (since 1970) → kind, from the whole log at once.

    Told by the protocol's words: a day with a positive net is an order moment, and so many days after the first of
    them, up to the log's last day, is a tick where it is none.
    """
    net: dict[tuple[str, int], int] = {}
    for event in log:
        place = (event.customer_id, event.occurred_ms // DAY_MS)
        if isinstance(event, OrderPlaced):
            net[place] = net.get(place, 0) + event.total_minor
        elif isinstance(event, OrderRefunded):
            net[place] = net.get(place, 0) - event.amount_minor
    bought = {place for place, cents in net.items() if cents > 0}
    last = max(day for _, day in net)
    first = {customer: min(day for who, day in bought if who == customer) for customer in {c for c, _ in bought}}
    ticks = {(customer, day + k) for customer, day in first.items() for k in TICKS if day + k <= last} - bought
    return dict.fromkeys(bought, "order") | dict.fromkeys(ticks, "tick")
