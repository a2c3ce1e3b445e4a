"""The feed of segment changes: numbered by partition, so that a reader who was away misses none and gets none twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, func, or_, select

from storage import tables

if TYPE_CHECKING:
    from collections.abc import Mapping

    from storage.engine import Database

Row = dict[str, Any]
Cursor = dict[int, int]
"""The next number of each partition; a partition that is not named begins at its first."""

_changes, _feeds = tables.segment_changes, tables.feeds


def feed_end(database: Database) -> Cursor:
    """Return the cursor behind everything that is stored.

    Raises
    ------
    StoreUnavailable
        When a retry may help.
    """
    with database.reading() as connection:
        return {row.partition: row.next_seq for row in connection.execute(select(_feeds))}


def read_feed(database: Database, cursor: Mapping[int, int], *, limit: int) -> tuple[list[Row], Cursor]:
    """Return the changes from a cursor on, and the cursor behind them; at most ``limit`` of each partition.

    Within a partition they come in the order in which they were stored.
    """
    with database.reading() as connection:
        ends = {row.partition: row.next_seq for row in connection.execute(select(_feeds))}
        reached = {place: min(max(cursor.get(place, 0), 0), end) for place, end in ends.items()}
        to = {place: min(reached[place] + limit, end) for place, end in ends.items()}
        spans = [
            and_(_changes.c.partition == place, _changes.c.feed_seq >= reached[place], _changes.c.feed_seq < to[place])
            for place in ends
            if to[place] > reached[place]
        ]
        if not spans:
            return [], reached
        query = select(_changes).where(or_(*spans)).order_by(_changes.c.partition, _changes.c.feed_seq)
        return [dict(row) for row in connection.execute(query).mappings()], to


def newest_changes(database: Database, *, limit: int) -> list[Row]:
    """Return the changes of the latest event time, newest first."""
    query = select(_changes).order_by(_changes.c.as_of_ms.desc(), _changes.c.event_id).limit(limit)
    with database.reading() as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def count_changes(database: Database, *, after_ms: int) -> int:
    """Count the changes later than a moment of event time."""
    query = select(func.count()).where(_changes.c.as_of_ms > after_ms)
    with database.reading() as connection:
        return connection.execute(query).scalar_one()
