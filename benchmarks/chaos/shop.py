"""The input of a campaign in closed form: what every customer's totals must be follows from the number of days alone.

Each day every regular buys once, every tenth customer bought on the first day only. Order *k* of customer *i* is worth
``500 + i mod 97 + 10 k`` cents, every fifth is refunded in part a day later, every seventh is sent again a day later.
A day's records come shuffled: out of order by less than the allowed lateness.
"""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, NamedTuple

from clv.outcomes import rfc3339
from clv.rules import DAY_MS

if TYPE_CHECKING:
    from collections.abc import Iterator

FIRST_DAY_MS = 19_723 * DAY_MS  # 2024-01-01
POISON_MARK = "poison"
FUTURE_MARK = "years-ahead"
_REFUND_MINOR = 150
_OPEN_MS = 20 * 3_600_000
"""Orders of a day fall into its first 20 hours: shuffled, they are out of order by less than a day."""


class Sent(NamedTuple):
    """A record to send; without a partition its key decides."""

    key: bytes | None
    value: bytes | None
    partition: int | None = None


class ClosedForm(NamedTuple):
    """A customer's totals, worked out and not added up; money in cents."""

    order_count: int
    revenue_minor: int
    refunded_minor: int
    smallest_minor: int
    largest_minor: int
    first_ms: int
    last_ms: int


class Shop:
    """Customers who buy by rule.

    Parameters
    ----------
    customers
        How many.
    seed
        Decides the order within a day, nothing else.

    Examples
    --------
    >>> shop = Shop(20, seed=1)
    >>> shop.expected(0, days=3)
    ClosedForm(order_count=3, revenue_minor=1530, refunded_minor=0, smallest_minor=500, largest_minor=520, \
first_ms=1704067200000, last_ms=1704240000000)
    """

    def __init__(self, customers: int, seed: int) -> None:
        self.customers = customers
        self._seed = seed

    def day(self, number: int) -> list[Sent]:
        """Return a day's records in the order in which they are sent."""
        found = [record for customer in range(self.customers) for record in self._of(customer, number)]
        random.Random(f"{self._seed}-{number}").shuffle(found)
        return found

    def expected(self, customer: int, *, days: int) -> ClosedForm:
        """Return a customer's totals after so many days."""
        count = min(days, 1) if customer % 10 == 9 else days
        base = 500 + customer % 97
        refunds = len(range(2, count - 1, 5))  # of orders 2, 7, 12, … that are a day old
        return ClosedForm(
            order_count=count,
            revenue_minor=count * base + 10 * count * (count - 1) // 2,
            refunded_minor=refunds * _REFUND_MINOR,
            smallest_minor=base,
            largest_minor=base + 10 * (count - 1),
            first_ms=_at_ms(customer, 0),
            last_ms=_at_ms(customer, count - 1),
        )

    def _of(self, customer: int, day: int) -> Iterator[Sent]:
        if customer % 10 == 9:
            if day == 0:
                yield _order(customer, 0)
            return
        yield _order(customer, day)
        if day % 5 == 3:
            yield _refund(customer, day - 1)
        if (day + customer) % 7 == 0 and day:
            yield _order(customer, day - 1)


def customer_id(customer: int) -> str:
    """Return a customer's id."""
    return f"c{customer:05d}"


def poison(number: int) -> list[Sent]:
    """Return records that nobody can apply, each in another way."""
    good = json.loads(_order(0, 0).value or b"")
    name = f"{POISON_MARK}-{number}"
    bad = [
        {"total": "NaN"},
        {"total": "-1.00"},
        {"currency": "EUR"},
        {"occurred_at": "2024-02-30T12:00:00Z"},
        {"type": "OrderDreamt"},
        {"schema_version": 9},
        {"order_id": POISON_MARK * 60},
        {"items": "none"},
    ]
    key = name.encode()
    found = [Sent(key, json.dumps(good | {"event_id": name, "customer_id": name} | each).encode()) for each in bad]
    found += [Sent(key, b"{" + key), Sent(key, b"\xff\xfe" + key), Sent(b"somebody", found[0].value), Sent(key, None)]
    return found


def futures(number: int, day: int) -> list[Sent]:
    """Return orders whose producer's clock is years ahead: of too few customers for anybody to believe them."""
    found = []
    for customer in range(2):
        name = f"{FUTURE_MARK}-{number}-{customer}"
        found.append(_event(name, "OrderPlaced", name, FIRST_DAY_MS + (day + 2_000) * DAY_MS, order_id=name, total="9"))
    return found


def ticks(partitions: int, day: int) -> list[Sent]:
    """Return a Tick for every partition, at the end of the day after."""
    at = rfc3339(FIRST_DAY_MS + (day + 2) * DAY_MS)
    body = json.dumps({"type": "Tick", "event_id": f"tick-{at}", "as_of": at, "schema_version": 1}).encode()
    return [Sent(None, body, number) for number in range(partitions)]


def _at_ms(customer: int, day: int) -> int:
    return FIRST_DAY_MS + day * DAY_MS + (customer * 7_919_000) % _OPEN_MS


def _order(customer: int, day: int) -> Sent:
    amount = 500 + customer % 97 + 10 * day
    name = f"{customer_id(customer)}-o{day}"
    total = f"{amount // 100}.{amount % 100:02d}"
    return _event(customer_id(customer), "OrderPlaced", name, _at_ms(customer, day), order_id=name, total=total)


def _refund(customer: int, day: int) -> Sent:
    name = f"{customer_id(customer)}-r{day}"
    at_ms = _at_ms(customer, day + 1) + 1_000
    order = f"{customer_id(customer)}-o{day}"
    return _event(customer_id(customer), "OrderRefunded", name, at_ms, refund_id=name, order_id=order, amount="1.50")


def _event(customer: str, kind: str, name: str, at_ms: int, **more: str) -> Sent:
    event = {
        "type": kind,
        "event_id": name,
        "customer_id": customer,
        "occurred_at": rfc3339(at_ms),
        "schema_version": 1,
        "currency": "USD",
    }
    return Sent(customer.encode(), json.dumps(event | more).encode())
