"""What SQL has of an event: the outputs that name it as their cause, and the cause that an output names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from storage import tables

if TYPE_CHECKING:
    from collections.abc import Collection

    from storage.engine import Database

Row = dict[str, Any]
_WITH_CAUSE = (tables.scores, tables.segment_changes)


def cause_of(database: Database, event_id: str) -> tuple[str, str, str] | None:
    """Return the table, the cause and the customer of an output with this event id; None where there is none.

    Raises
    ------
    StoreUnavailable
        When a retry may help.
    """
    with database.reading() as connection:
        for table in _WITH_CAUSE:
            row = connection.execute(
                select(table.c.cause, table.c.customer_id).where(table.c.event_id == event_id)
            ).first()
            if row is not None:
                return table.name, row.cause, row.customer_id
    return None


def outputs_of(database: Database, customer_id: str, causes: Collection[str], at_ms: int) -> dict[str, list[Row]]:
    """Return scores and segment changes with one of these causes, and examples of a moment, by table.

    Raises
    ------
    StoreUnavailable
        When a retry may help.
    """
    found: dict[str, list[Row]] = {}
    examples = tables.training_examples
    of_moment = (examples.c.customer_id == customer_id, examples.c.as_of_ms == at_ms, examples.c.moment == "order")
    queries = {
        table: select(table.c.event_id, table.c.as_of_ms, table.c.reason)
        .where(table.c.customer_id == customer_id, table.c.cause.in_(causes))
        .order_by(table.c.as_of_ms, table.c.event_id)
        for table in _WITH_CAUSE
    }
    queries[examples] = select(examples.c.event_id, examples.c.as_of_ms, examples.c.matured_ms).where(*of_moment)
    with database.reading() as connection:
        for table, query in queries.items():
            rows = [dict(row) for row in connection.execute(query).mappings()]
            if rows:
                found[table.name] = rows
    return found
