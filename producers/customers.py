"""Import of aggregated customers: from one row a customer back to a history with the same totals.

A row says how many orders there were and what they sum to, not when and how much each was. The history made here is a
reconstruction: it reproduces the row's totals exactly and claims nothing else.

* ``total_orders`` orders, evenly spaced from the first to the last purchase date (UTC midnight), sharing
  ``total_spent`` equally, odd cents on the earliest;
* if ``return_rate`` is above 0, one refund of the customer of that share of ``total_spent``, right after the last
  order;
* if ``email_engagement_rate`` is given, 20 mails sent evenly over the same time, the rate's share of them opened (to
  the next twentieth, spread evenly).

Ids derive from the customer's id: an import done again is a duplicate.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from clv.errors import InputError, InvalidEvent
from clv.events import MAX_ID_LENGTH, MAX_MS, EmailEngaged, OrderPlaced, OrderRefunded
from clv.money import minor_digits, to_minor
from clv.outcomes import event_id
from producers.files import CUSTOMER_COLUMNS, OPTIONAL_CUSTOMER_COLUMNS
from producers.rejects import Rejects
from producers.rows import file_digest, read_header, read_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from clv.events import CustomerEvent

MAILS = 20
MAX_ORDERS = 100_000
_REQUIRED = ("customer_id", "first_purchase_date", "last_purchase_date", "total_orders", "total_spent")


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerTotals:
    """A row of the aggregated schema, checked; rates, cost and categories −1 where they are not given."""

    customer_id: str
    first_ms: int
    last_ms: int
    order_count: int
    spent_minor: int
    refunded_minor: int
    engagement_rate: float
    source: str
    campaign_type: str
    return_rate: float = -1
    acquisition_cost_minor: int = -1
    category_count: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomersLog:
    """Aggregated customers as events; iterate over it for them, in event-time order, as often as needed.

    Parameters
    ----------
    customers
        About 300 bytes each, and as much again while events are read.
    rows, rejected
        Rows of the file, and those that could not be used.
    """

    key: str
    customers: list[CustomerTotals] = field(repr=False)
    rows: int
    rejected: int

    @property
    def first_ms(self) -> int:
        """First purchase date of all."""
        return min(totals.first_ms for totals in self.customers)

    @property
    def last_ms(self) -> int:
        """Last purchase date of all."""
        return max(totals.last_ms for totals in self.customers)

    def __iter__(self) -> Iterator[CustomerEvent]:
        yield from heapq.merge(*map(history, self.customers), key=_moment)

    def __len__(self) -> int:
        mails = sum(MAILS + _opened(totals) for totals in self.customers if totals.engagement_rate >= 0)
        return mails + sum(totals.order_count + (totals.refunded_minor > 0) for totals in self.customers)


def read_customers(path: Path, *, currency: str, rejects_path: Path | None = None) -> CustomersLog:
    """Read an aggregated customers file, CSV (plain or gzip) or Parquet.

    Raises
    ------
    InputError
        When the file or its columns cannot be used, or not one row can.
    """
    header = read_header(path)
    missing = [name for name in _REQUIRED if name not in header]
    if missing:
        raise InputError(f"{path} has no column {', '.join(missing)}", f"wanted: {', '.join(CUSTOMER_COLUMNS)}")
    columns = {name: name for name in (*CUSTOMER_COLUMNS, *OPTIONAL_CUSTOMER_COLUMNS) if name in header}
    digits = minor_digits(currency)
    found: dict[str, CustomerTotals] = {}
    rows = 0
    with Rejects(rejects_path) as rejects:
        for chunk in read_rows(path, columns, rejects=rejects):
            for line, *texts in zip(chunk.lines, *chunk.cells.values(), strict=True):
                cells = dict(zip(chunk.cells, (text.strip() for text in texts), strict=True))
                rows += 1
                try:
                    totals = check_customer(cells, digits=digits)
                except InvalidEvent as problem:
                    rejects.add(line, problem.reason, str(problem), cells)
                    continue
                if found.setdefault(totals.customer_id, totals) is not totals:
                    rejects.add(line, "bad_id", "the customer is in an earlier row", cells)
    if not found:
        raise InputError(f"{path} has no usable row; {rejects.first}", f"wanted: {', '.join(CUSTOMER_COLUMNS)}")
    key = event_id("customers", file_digest(path), currency)
    rows += rejects.by_reason["bad_shape"]
    return CustomersLog(key=key, customers=list(found.values()), rows=rows, rejected=rejects.count)


def check_customer(cells: Mapping[str, str], *, digits: int) -> CustomerTotals:
    """Check one row.

    Raises
    ------
    InvalidEvent
        Saying which value is impossible, or which two contradict each other.
    """
    customer_id = cells["customer_id"]
    if not 0 < len(customer_id) <= MAX_ID_LENGTH:
        raise InvalidEvent(f"customer_id is empty or has more than {MAX_ID_LENGTH} characters", "bad_id")
    if "\ufffd" in customer_id or "\x00" in customer_id:
        raise InvalidEvent("customer_id is not text in the file's encoding", "bad_id")
    first_ms, last_ms = (_date_ms(cells, name) for name in ("first_purchase_date", "last_purchase_date"))
    if last_ms < first_ms:
        raise InvalidEvent("last_purchase_date is before first_purchase_date", "bad_time")
    count = _whole(cells["total_orders"], "total_orders", 1)
    if count == 1 and last_ms != first_ms:
        raise InvalidEvent("there is one order, but first and last purchase date differ", "bad_time")
    spent_minor = to_minor(cells["total_spent"], digits)
    if spent_minor < 0:
        raise InvalidEvent("total_spent is negative", "bad_amount")
    average = _average(cells)
    # The average may be rounded to minor units, and then be off by half of one for each order.
    if average is not None and abs(average.scaleb(digits) * count - spent_minor) * 2 > count + 1:
        raise InvalidEvent("avg_order_value × total_orders is not total_spent, beyond rounding", "bad_amount")
    returned = _rate(cells, "return_rate")
    cost, categories = cells.get("acquisition_cost"), cells.get("num_categories")
    cost_minor = to_minor(cost, digits) if cost else -1
    if cost and cost_minor < 0:
        raise InvalidEvent("acquisition_cost is negative", "bad_amount")
    return CustomerTotals(
        customer_id=customer_id,
        first_ms=first_ms,
        last_ms=last_ms,
        order_count=count,
        spent_minor=spent_minor,
        refunded_minor=round(spent_minor * max(Decimal(0), returned)),
        engagement_rate=float(_rate(cells, "email_engagement_rate")),
        source=cells.get("acquisition_source", "")[:MAX_ID_LENGTH],
        campaign_type=cells.get("campaign_type", "")[:MAX_ID_LENGTH],
        return_rate=float(returned),
        acquisition_cost_minor=cost_minor,
        category_count=_whole(categories, "num_categories", 0) if categories else -1,
    )


def history(totals: CustomerTotals) -> Iterator[CustomerEvent]:
    """Give a history with the row's totals, in order of time.

    Examples
    --------
    >>> totals = CustomerTotals(customer_id="c", first_ms=0, last_ms=1000, order_count=3, spent_minor=100,
    ...     refunded_minor=0, engagement_rate=-1, source="", campaign_type="")
    >>> [(event.occurred_ms, event.total_minor) for event in history(totals)]
    [(0, 34), (500, 33), (1000, 33)]
    """
    streams: list[Iterator[CustomerEvent]] = [_orders(totals), _mails(totals), _refunds(totals)]
    return heapq.merge(*streams, key=_moment)


def _moment(event: CustomerEvent) -> int:
    return event.occurred_ms


def _orders(totals: CustomerTotals) -> Iterator[OrderPlaced]:
    customer, count = totals.customer_id, totals.order_count
    share, odd = divmod(totals.spent_minor, count)
    span_ms = totals.last_ms - totals.first_ms
    for number in range(count):
        at_ms = totals.first_ms + (span_ms * number // (count - 1) if number else 0)
        order_id = event_id("import", customer, number)
        amount = share + (number < odd)
        acquired = (totals.source, totals.campaign_type, totals.acquisition_cost_minor)
        yield OrderPlaced(event_id("order", customer, order_id), customer, at_ms, order_id, amount, (), *acquired)


def _refunds(totals: CustomerTotals) -> Iterator[OrderRefunded]:
    if totals.refunded_minor > 0:
        customer = totals.customer_id
        refund_id = event_id("import-refund", customer)
        own_id = event_id("refund", customer, refund_id)
        yield OrderRefunded(own_id, customer, totals.last_ms + 1, refund_id, totals.refunded_minor)


def _mails(totals: CustomerTotals) -> Iterator[EmailEngaged]:
    if totals.engagement_rate < 0:
        return
    customer, opened = totals.customer_id, _opened(totals)
    span_ms = totals.last_ms - totals.first_ms
    for number in range(MAILS):
        at_ms = totals.first_ms + span_ms * number // (MAILS - 1)
        campaign = f"import-{number + 1}"
        yield EmailEngaged(event_id("mail", customer, campaign, "sent"), customer, at_ms, campaign, "sent")
        if (number + 1) * opened // MAILS > number * opened // MAILS:
            yield EmailEngaged(event_id("mail", customer, campaign, "opened"), customer, at_ms + 1, campaign, "opened")


def _opened(totals: CustomerTotals) -> int:
    return round(totals.engagement_rate * MAILS)


def _date_ms(cells: Mapping[str, str], name: str) -> int:
    try:
        day = date.fromisoformat(cells[name][:10])
    except ValueError:
        raise InvalidEvent(f"{name} is not a date as 2024-03-31", "bad_time") from None
    at_ms = round(datetime.combine(day, time(), UTC).timestamp()) * 1000
    if not 0 <= at_ms <= MAX_MS:
        raise InvalidEvent(f"{name} is outside 1970 to 2200", "bad_time")
    return at_ms


def _whole(text: str, name: str, least: int) -> int:
    if not text.isascii() or not text.isdigit() or not least <= int(text[:7]) <= MAX_ORDERS or len(text) > 7:
        raise InvalidEvent(f"{name} is not a whole number from {least} to {MAX_ORDERS}", "bad_amount")
    return int(text)


def _average(cells: Mapping[str, str]) -> Decimal | None:
    """Return the average, which unlike an amount may have any number of decimals; None where it is not given."""
    text = cells.get("avg_order_value", "")
    if not text:
        return None
    try:
        average = Decimal(text)
    except InvalidOperation:
        average = Decimal("NaN")
    if not average.is_finite() or abs(average.adjusted()) > 40:
        raise InvalidEvent("avg_order_value is not a plain decimal number", "bad_amount")
    return average


def _rate(cells: Mapping[str, str], name: str) -> Decimal:
    text = cells.get(name, "")
    if not text:
        return Decimal(-1)
    try:
        rate = Decimal(text)
    except InvalidOperation:
        rate = Decimal("NaN")
    if not rate.is_finite() or not 0 <= rate <= 1:
        raise InvalidEvent(f"{name} is not a number from 0 to 1", "bad_amount")
    return rate
