"""Rows go when they are older than their table keeps them, on either database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import insert, select

from clv.retention import AGED_TABLES
from clv.rules import DAY_MS
from storage import retention, tables
from storage.retention import AGED, delete_expired

if TYPE_CHECKING:
    from storage.engine import Database

NOW_MS = 20_000 * DAY_MS
WATERMARK_MS = 10_000 * DAY_MS


def letters(database: Database, *ages_days: int) -> None:
    """Store a dead letter of each age by the clock."""
    rows = [
        {"topic": "t", "incarnation": "i", "partition": 0, "offset": n, "reason": "invalid", "detail": ""}
        | {"stored_ms": NOW_MS - age * DAY_MS}
        for n, age in enumerate(ages_days)
    ]
    with database.writing() as connection:
        connection.execute(insert(tables.dead_letters), rows)


def changes(database: Database, *ages_days: int, partitions: int) -> None:
    """Store a segment change of each age in event time, and partitions whose slowest has come to the watermark."""
    rows = [
        {"event_id": f"e{n}", "customer_id": "c", "as_of_ms": WATERMARK_MS - age * DAY_MS, "cause": ""}
        | {"reason": "order", "to_segment": "Low-CLV", "clv_before_minor": 0, "clv_after_minor": 0, "currency": "USD"}
        | {"model_versions": "{}", "partition": 0, "feed_seq": n}
        for n, age in enumerate(ages_days)
    ]
    places = [
        {"partition": n, "watermark_ms": WATERMARK_MS + n * 400 * DAY_MS, "incarnation": "", "applied_offset": 0}
        | {"counts": "{}"}
        for n in range(partitions)
    ]
    with database.writing() as connection:
        connection.execute(insert(tables.segment_changes), rows)
        if places:
            connection.execute(insert(tables.partitions), places)


def ids(database: Database, column: str) -> list[object]:
    """Return a key column of what is left, sorted."""
    table = tables.dead_letters if column == "offset" else tables.segment_changes
    with database.reading() as connection:
        return sorted(connection.execute(select(table.c[column])).scalars())


def test_the_clock_decides_on_dead_letters(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Older than kept goes, in as many transactions as it takes; exactly as old stays, and so does all under never."""
    monkeypatch.setattr(retention, "CHUNK", 2)
    letters(database, 0, 29, 30, 31, 32, 33, 400)
    assert delete_expired(database, {"dead_letters": -1}, NOW_MS) == {}
    assert delete_expired(database, {"dead_letters": 30 * DAY_MS}, NOW_MS) == {"dead_letters": 4}
    assert ids(database, "offset") == [0, 1, 2]
    assert delete_expired(database, {"dead_letters": 30 * DAY_MS}, NOW_MS) == {}


@pytest.mark.parametrize(("partitions", "left"), [(2, ["e0", "e1"]), (0, ["e0", "e1", "e2"])], ids=["some", "none"])
def test_event_time_decides_on_what_is_dated_by_it(database: Database, partitions: int, left: list[str]) -> None:
    """Measured against the slowest partition, not the clock; before there is one, nothing goes."""
    changes(database, 0, 10, 11, partitions=partitions)
    delete_expired(database, {"segment_changes": 10 * DAY_MS}, NOW_MS)
    assert ids(database, "event_id") == left


@pytest.mark.parametrize("name", AGED)
def test_every_table_that_settings_may_name_can_be_cleared(database: Database, name: str) -> None:
    """Each query is one that the database accepts."""
    assert delete_expired(database, {name: DAY_MS}, NOW_MS) == {}


def test_settings_and_storage_name_the_same_tables() -> None:
    """What a setting accepts is what can be deleted."""
    assert tuple(AGED) == AGED_TABLES
