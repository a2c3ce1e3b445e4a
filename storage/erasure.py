"""Where the database still names a customer: what an erasure has to leave empty."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec
from sqlalchemy import func, literal, or_, select

from storage import tables
from storage.dialect import has_bytes

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection

    from storage.engine import Database

BY_SINK = (tables.customers, tables.scores, tables.segment_changes, tables.training_examples)
"""Tables with a ``customer_id`` that the sink empties when a customer's tombstone comes."""
BY_ADS = (tables.audience_customers, tables.audience_members, tables.conversions)
"""The same by the ads role, at the end of its turn: until then a platform holds them too."""


class Standing(NamedTuple):
    """A customer's partition, and the latest moment that a score of theirs is of, epoch milliseconds."""

    partition: int
    as_of_ms: int


def find_standing(database: Database, customer_id: str) -> Standing | None:
    """Return where a customer stands; None for one whom the database does not know."""
    stored = tables.customers
    query = select(stored.c.partition, stored.c.as_of_ms).where(stored.c.customer_id == customer_id)
    with database.reading() as connection:
        row = connection.execute(query).first()
    return None if row is None else Standing(*row)


def mentions(database: Database, customer_id: str) -> dict[str, int]:
    """Count the rows of each table that name a customer; tables without one are left out.

    A dead letter names its customer by its key, or by its value if that holds the id as a JSON text.

    Raises
    ------
    StoreUnavailable
        When a retry may help.
    """
    key, letters, states = customer_id.encode(), tables.dead_letters, tables.customer_states
    with database.reading() as connection:
        found = [*((table, table.c.customer_id == customer_id) for table in (*BY_SINK, *BY_ADS))]
        found.append((states, states.c.key == key))
        found.append((letters, letter_names(connection, literal(key), literal(json_text(customer_id)))))
        queries = {table.name: select(func.count()).select_from(table).where(named) for table, named in found}
        counts = {name: int(connection.execute(query).scalar_one()) for name, query in queries.items()}
    return {name: count for name, count in counts.items() if count}


def letter_names(
    connection: Connection, key: ColumnElement[bytes], json_id: ColumnElement[bytes]
) -> ColumnElement[bool]:
    """Return the condition that a dead letter names a customer: by its key, or by its value."""
    letters = tables.dead_letters
    return or_(letters.c.key == key, has_bytes(connection, letters.c.value, json_id))


def json_text(customer_id: str) -> bytes:
    """Return an id as it stands in a record's JSON, quotation marks included."""
    return msgspec.json.encode(customer_id)
