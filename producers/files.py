"""Generated events into files: JSON Lines of events, an order log, or the aggregated customers schema."""

from __future__ import annotations

import csv
import gzip
from typing import IO, TYPE_CHECKING

from clv.errors import InputError
from clv.events import EmailEngaged, OrderPlaced, OrderRefunded
from clv.money import to_major
from clv.outcomes import rfc3339
from producers.encode import encode_event

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from clv.events import CustomerEvent

ORDER_LOG_COLUMNS = (
    *("customer_id", "order_id", "occurred_at", "amount", "currency", "category"),
    *("acquisition_source", "campaign_type", "acquisition_cost", "refunded_order_id"),
)
CUSTOMER_COLUMNS = (
    *("customer_id", "first_purchase_date", "last_purchase_date", "total_orders", "total_spent", "avg_order_value"),
    *("acquisition_source", "campaign_type", "email_engagement_rate", "return_rate"),
)
OPTIONAL_CUSTOMER_COLUMNS = ("acquisition_cost", "num_categories")
"""Read where a file has them; not written."""


def write_events(path: Path, events: Iterable[CustomerEvent], *, currency: str, digits: int) -> int:
    """Write one event a line as JSON, in the order given; return how many."""
    count = 0
    with _open(path) as file:
        for count, event in enumerate(events, start=1):  # noqa: B007  # the last number is the count
            file.write(encode_event(event, currency=currency, digits=digits).decode() + "\n")
    return count


def write_order_log(path: Path, events: Iterable[CustomerEvent], *, currency: str, digits: int) -> int:
    """Write orders and refunds as an order log that ``producers.orderlog`` reads back as the same events.

    An order with several categories has a line for each, the first with the amount. Mails have no place in it.

    Returns
    -------
    int
        Lines written, the header not counted.
    """
    count = 0
    with _open(path) as file:
        writer = csv.writer(file)
        writer.writerow(ORDER_LOG_COLUMNS)
        for event in events:
            rows = list(_log_rows(event, currency, digits))
            writer.writerows(rows)
            count += len(rows)
    return count


def write_customers(path: Path, histories: Iterable[list[CustomerEvent]], *, digits: int) -> int:
    """Write one aggregated row a customer; return how many."""
    count = 0
    with _open(path) as file:
        writer = csv.writer(file)
        writer.writerow(CUSTOMER_COLUMNS)
        for count, history in enumerate(histories, start=1):  # noqa: B007  # the last number is the count
            writer.writerow(_customer_row(history, digits))
    return count


def _log_rows(event: CustomerEvent, currency: str, digits: int) -> Iterator[tuple[str, ...]]:
    at = rfc3339(event.occurred_ms)
    if isinstance(event, OrderPlaced):
        cost = to_major(event.acquisition_cost_minor, digits) if event.acquisition_cost_minor >= 0 else ""
        for number, category in enumerate(event.categories or ("",)):
            amount = "0" if number else to_major(event.total_minor, digits)
            acquired = (event.source, event.campaign_type, cost)
            yield (event.customer_id, event.order_id, at, amount, currency, category, *acquired, "")
    elif isinstance(event, OrderRefunded):
        amount = to_major(-event.amount_minor, digits)
        yield (event.customer_id, event.refund_id, at, amount, currency, "", "", "", "", event.order_id)


def _customer_row(history: list[CustomerEvent], digits: int) -> tuple[str | int, ...]:
    orders = [event for event in history if isinstance(event, OrderPlaced)]
    actions = [event.action for event in history if isinstance(event, EmailEngaged)]
    spent = sum(order.total_minor for order in orders)
    refunded = sum(event.amount_minor for event in history if isinstance(event, OrderRefunded))
    return (
        orders[0].customer_id,
        rfc3339(min(order.occurred_ms for order in orders))[:10],
        rfc3339(max(order.occurred_ms for order in orders))[:10],
        len(orders),
        to_major(spent, digits),
        to_major(round(spent / len(orders)), digits),
        orders[0].source,
        orders[0].campaign_type,
        f"{actions.count('opened') / max(1, actions.count('sent')):.4f}",
        f"{refunded / spent:.4f}",
    )


def _open(path: Path) -> IO[str]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".gz":
            return gzip.open(path, "wt", encoding="utf-8", newline="")
        return path.open("w", encoding="utf-8", newline="")
    except OSError as problem:
        raise InputError(f"{path} cannot be written: {problem.strerror}", "give a path that can be") from problem
