"""Rows that are older than they are to be kept, deleted a few thousand at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import delete, select, tuple_

from storage import tables
from storage.overview import partition_progress

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Column, Table

    from storage.engine import Database

CHUNK = 2_000
"""Rows that one transaction deletes: the sink's own writes come in between."""


class Aged(NamedTuple):
    """A table whose rows may go, and the column that says how old they are: by event time, or by the clock."""

    table: Table
    age: Column[int]
    is_event_time: bool


AGED = {
    each.table.name: each
    for each in (
        Aged(tables.scores, tables.scores.c.as_of_ms, is_event_time=True),
        Aged(tables.segment_changes, tables.segment_changes.c.as_of_ms, is_event_time=True),
        Aged(tables.training_examples, tables.training_examples.c.matured_ms, is_event_time=True),
        Aged(tables.budget_signals, tables.budget_signals.c.as_of_ms, is_event_time=True),
        Aged(tables.dead_letters, tables.dead_letters.c.stored_ms, is_event_time=False),
        Aged(tables.ad_operations, tables.ad_operations.c.at_ms, is_event_time=False),
        Aged(tables.budget_changes, tables.budget_changes.c.at_ms, is_event_time=False),
    )
}
"""By name: ``clv.retention.AGED_TABLES``."""


def delete_expired(database: Database, retention_ms: Mapping[str, int], now_ms: int) -> dict[str, int]:
    """Delete the rows older than their table keeps them; return how many, by table.

    Parameters
    ----------
    retention_ms
        By table, milliseconds; below zero: kept for good.
    now_ms
        The clock. Rows dated by event time are measured against the slowest partition's watermark instead, so that a
        log of years ago that is replayed loses nothing by being old.

    Raises
    ------
    StoreUnavailable
        When a retry may help.
    """
    marks = [place.watermark_ms for place in partition_progress(database).values()]
    counts = {}
    for name, kept_ms in retention_ms.items():
        aged = AGED[name]
        today_ms = min(marks, default=-1) if aged.is_event_time else now_ms
        if kept_ms >= 0 and (count := _delete_before(database, aged, today_ms - kept_ms)):
            counts[name] = count
    return counts


def _delete_before(database: Database, aged: Aged, before_ms: int) -> int:
    keys = list(aged.table.primary_key)
    some = select(*keys).where(aged.age < before_ms).limit(CHUNK)
    total = 0
    while True:
        with database.writing() as connection:
            found = connection.execute(some).all()
            if found:
                connection.execute(delete(aged.table).where(tuple_(*keys).in_([tuple(row) for row in found])))
        total += len(found)
        if len(found) < CHUNK:
            return total
