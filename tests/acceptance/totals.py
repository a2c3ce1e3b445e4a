"""What every customer's totals must be, worked out anew from the files, and what SQL says they are."""

from __future__ import annotations

import json
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd
from sqlalchemy import select

from storage.tables import customers

if TYPE_CHECKING:
    from collections.abc import Iterable

    from storage.engine import Database

CDNOW = Path(__file__).parents[2] / "data" / "cdnow_orders.csv.gz"


class Totals(NamedTuple):
    """A customer's orders, their gross value and what was refunded of it, in minor units."""

    order_count: int
    revenue_minor: int
    refunded_minor: int = 0


def stored_totals(database: Database) -> dict[str, Totals]:
    """Return every customer's totals as SQL shows them."""
    columns = (customers.c.customer_id, customers.c.order_count, customers.c.revenue_minor, customers.c.refunded_minor)
    with database.reading() as connection:
        return {row[0]: Totals(*row[1:]) for row in connection.execute(select(*columns))}


def csv_totals(*files: Path) -> dict[str, Totals]:
    """Add up order logs in which every row is an order, with pandas."""
    rows = pd.concat([pd.read_csv(file, dtype=str) for file in files])
    rows["minor"] = [int(Decimal(amount) * 100) for amount in rows["amount"]]
    sums = rows.groupby("customer_id")["minor"].agg(["count", "sum"])
    return {str(row.Index): Totals(int(row[1]), int(row[2])) for row in sums.itertuples()}


def write_sample(path: Path, *, ending: str) -> Path:
    """Write the orders of CDNOW's customers whose id ends so, and return where: all of its time, few of its rows."""
    rows = pd.read_csv(CDNOW, dtype=str)
    rows[rows["customer_id"].str.endswith(ending)].to_csv(path, index=False)
    return path


def write_between(path: Path, *, since: str = "", before: str) -> Path:
    """Write CDNOW's orders between two dates, and return where: as crowded as it is, but shorter."""
    rows = pd.read_csv(CDNOW, dtype=str)
    rows[(rows["date"] >= since) & (rows["date"] < before)].to_csv(path, index=False)
    return path


def event_totals(lines: Iterable[str]) -> dict[str, Totals]:
    """Add up events by the contract: each order and refund once, a refund of an order at most what the order was."""
    orders: dict[str, dict[str, int]] = defaultdict(dict)
    refunds: dict[str, dict[str, tuple[str, int]]] = defaultdict(dict)
    for line in lines:
        event = json.loads(line)
        customer_id = event["customer_id"]
        if event["type"] == "OrderPlaced":
            orders[customer_id].setdefault(event["order_id"], _minor(event["total"]))
        elif event["type"] == "OrderRefunded":
            refund = (event.get("order_id", ""), _minor(event["amount"]))
            refunds[customer_id].setdefault(event["refund_id"], refund)
    return {
        customer_id: Totals(len(placed), sum(placed.values()), _refunded(placed, refunds[customer_id].values()))
        for customer_id, placed in orders.items()
    }


def _refunded(orders: dict[str, int], refunds: Iterable[tuple[str, int]]) -> int:
    of_order: dict[str, int] = defaultdict(int)
    for order_id, amount in refunds:
        of_order[order_id] += amount
    free = of_order.pop("", 0)
    return free + sum(min(amount, orders.get(order_id, 0)) for order_id, amount in of_order.items())


def _minor(amount: str) -> int:
    return int(Decimal(amount) * 100)
