"""Customers as they are read: one, a page of many, and the history of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from sqlalchemy import and_, or_, select

from storage import tables

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Select, Table

    from storage.engine import Database

Row = dict[str, Any]
SortField = Literal["clv", "revenue", "last_order_at", "customer_id"]
_customers = tables.customers
_SORTED_BY = {
    "clv": _customers.c.clv_minor,
    "revenue": _customers.c.revenue_minor,
    "last_order_at": _customers.c.last_order_ms,
    "customer_id": _customers.c.customer_id,
}
_LAST_CHARACTER = "\U0010ffff"


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerFilter:
    """Whom to list; money in minor units, moments in epoch milliseconds, both ends included; None for no bound.

    ``prefix`` is the beginning of a customer_id. ``segment`` is empty for those who are in none yet.
    """

    segment: str | None = None
    prefix: str = ""
    min_clv_minor: int | None = None
    max_clv_minor: int | None = None
    last_order_from_ms: int | None = None
    last_order_to_ms: int | None = None


class After(NamedTuple):
    """Where a page ended: the last row's value of the sorted field, and its customer_id."""

    value: int | str
    customer_id: str


class Page(NamedTuple):
    """Rows, and where the next page begins; None after the last."""

    rows: list[Row]
    next: After | None


def list_customers(
    database: Database,
    wanted: CustomerFilter,
    *,
    sort: SortField = "clv",
    is_descending: bool = True,
    limit: int,
    after: After | None = None,
) -> Page:
    """Return a page of customers in the order of a field, ties by customer_id.

    Notes
    -----
    Every order is an index's, and a page begins at its key: a late page costs what the first one does. A filter on
    another field than the sorted one is checked row by row along that index, but for a segment sorted by CLV.

    Raises
    ------
    StoreUnavailable
        When a retry may help.
    """
    field, name = _SORTED_BY[sort], _customers.c.customer_id
    query = select(_customers).where(*_conditions(wanted))
    if after is not None:
        query = query.where(_behind(field, name, after, is_descending=is_descending))
    order = (field.desc(), name.desc()) if is_descending else (field, name)
    with database.reading() as connection:
        rows = [dict(row) for row in connection.execute(query.order_by(*order).limit(limit + 1)).mappings()]
    if len(rows) <= limit:
        return Page(rows, None)
    last = rows[limit - 1]
    return Page(rows[:limit], After(last[field.name], last["customer_id"]))


def _behind(
    field: ColumnElement[Any], name: ColumnElement[Any], after: After, *, is_descending: bool
) -> ColumnElement[bool]:
    """Return what holds behind a row: written so that both databases begin at it in the index."""
    value, last = after
    if field is name:
        return name < last if is_descending else name > last
    if is_descending:
        return and_(field <= value, or_(field < value, name < last))
    return and_(field >= value, or_(field > value, name > last))


def _conditions(wanted: CustomerFilter) -> list[ColumnElement[bool]]:
    columns = _customers.c
    found: list[ColumnElement[bool]] = []
    if wanted.segment is not None:
        found.append(columns.segment == wanted.segment if wanted.segment else columns.segment.is_(None))
    if wanted.prefix:
        found += [columns.customer_id >= wanted.prefix, columns.customer_id < wanted.prefix + _LAST_CHARACTER]
    bounds = (
        (columns.clv_minor, wanted.min_clv_minor, wanted.max_clv_minor),
        (columns.last_order_ms, wanted.last_order_from_ms, wanted.last_order_to_ms),
    )
    for column, lowest, highest in bounds:
        found += [column >= lowest] if lowest is not None else []
        found += [column <= highest] if highest is not None else []
    return found


def get_customer(database: Database, customer_id: str) -> Row | None:
    """Return a customer's row; None where there is none.

    Raises
    ------
    StoreUnavailable
        When a retry may help.
    """
    with database.reading() as connection:
        row = connection.execute(select(_customers).where(_customers.c.customer_id == customer_id)).mappings()
        found = row.one_or_none()
    return dict(found) if found else None


def scores_of(database: Database, customer_id: str, *, limit: int) -> list[Row]:
    """Return a customer's newest scores, oldest of them first."""
    return _history(database, tables.scores, customer_id, limit)


def changes_of(database: Database, customer_id: str, *, limit: int) -> list[Row]:
    """Return a customer's newest segment changes, oldest of them first."""
    return _history(database, tables.segment_changes, customer_id, limit)


def _history(database: Database, table: Table, customer_id: str, limit: int) -> list[Row]:
    newest: Select[Any] = (
        select(table)
        .where(table.c.customer_id == customer_id)
        .order_by(table.c.as_of_ms.desc(), table.c.event_id.desc())
        .limit(limit)
    )
    with database.reading() as connection:
        return [dict(row) for row in connection.execute(newest).mappings()][::-1]
