"""The worker's table in SQL, with which an empty broker is filled, and how far a replay has come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import and_, delete, func, or_, select

from storage import tables
from storage.dialect import upsert

if TYPE_CHECKING:
    from collections.abc import Iterator

    from storage.engine import Database

_states = tables.customer_states
_CHUNK = 2_000


def count_states(database: Database) -> int:
    """Count the stored rows of the worker's table."""
    with database.reading() as connection:
        return connection.execute(select(func.count()).select_from(_states)).scalar_one()


def iter_states(database: Database, *, chunk: int = _CHUNK) -> Iterator[list[tuple[int, bytes, bytes]]]:
    """Yield every row as (partition, key, row) in that order, in lists of at most ``chunk``, none empty.

    Each list is read in a transaction of its own; nobody may write meanwhile if the whole is to be one state.

    Raises
    ------
    StoreUnavailable
        When a retry may help.
    """
    query = select(_states).order_by(_states.c.partition, _states.c.key).limit(chunk)
    after: tuple[int, bytes] | None = None
    while True:
        page = query
        if after is not None:
            partition, key = after
            later = and_(_states.c.partition == partition, _states.c.key > key)
            page = query.where(or_(_states.c.partition > partition, later))
        with database.reading() as connection:
            rows = [(row.partition, bytes(row.key), bytes(row.row)) for row in connection.execute(page)]
        if not rows:
            return
        yield rows
        after = rows[-1][:2]


def rows_of_key(database: Database, key: bytes) -> dict[int, bytes]:
    """Return the rows stored under one key, by partition."""
    query = select(_states.c.partition, _states.c.row).where(_states.c.key == key)
    with database.reading() as connection:
        return {partition: bytes(row) for partition, row in connection.execute(query)}


def get_replay_position(database: Database, key: str) -> dict[str, Any] | None:
    """Return what was put under ``key``, or ``None``."""
    stored = tables.replay_positions
    with database.reading() as connection:
        text = connection.execute(select(stored.c.position).where(stored.c.key == key)).scalar_one_or_none()
    return None if text is None else msgspec.json.decode(text, type=dict[str, Any])


def put_replay_position(database: Database, key: str, position: dict[str, Any]) -> None:
    """Store how far the replay called ``key`` has come, as JSON, in place of what was there."""
    row = {"key": key, "position": msgspec.json.encode(position).decode()}
    with database.writing() as connection:
        upsert(connection, tables.replay_positions, [row])


def delete_replay_position(database: Database, key: str) -> None:
    """Forget the replay called ``key``; nothing happens when there is none."""
    stored = tables.replay_positions
    with database.writing() as connection:
        connection.execute(delete(stored).where(stored.c.key == key))
