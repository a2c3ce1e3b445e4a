"""The sink's side of the store: rows and the offsets they came from, in one transaction."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from sqlalchemy import BigInteger, LargeBinary, bindparam, delete, func, literal, select, tuple_, update

from clv.errors import StoreConflict
from clv.state import is_erased
from storage import tables
from storage.aggregates import ACTIVITY_BUCKET_MS, keep_activity, keep_moves, keep_totals
from storage.batch import Place, Position
from storage.dialect import insert_missing, upsert
from storage.erasure import json_text, letter_names

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from sqlalchemy import Connection

    from storage.batch import Row, SinkBatch
    from storage.engine import Database

_LAST_MS = 2**63 - 1
_OWN = b"\x00"
"""What a key begins with that is no customer's."""


def load_positions(database: Database, topics: Collection[str]) -> dict[Place, Position]:
    """Return where the database stands in each partition of ``topics``; places never written are missing.

    Raises
    ------
    StoreUnavailable
        When a retry may help.
    """
    offsets = tables.sink_offsets
    with database.reading() as connection:
        rows = connection.execute(select(offsets).where(offsets.c.topic.in_(topics))).all()
    return {(row.topic, row.partition): Position(row.incarnation, row.next_offset) for row in rows}


def write_batch(database: Database, batch: SinkBatch) -> None:
    """Store a batch and move its offsets, all or nothing.

    Every row has a key that its cause determines, so rows that were stored before (by a sink that read the same topics
    from their beginning) add nothing.

    Raises
    ------
    StoreConflict
        When the database stands elsewhere than ``batch.expected``; nothing is written. Read the positions again.
    StoreUnavailable
        When a retry may help. If the connection broke during the commit, the retry may end in ``StoreConflict``.
    """
    with database.writing() as connection:
        _check_positions(connection, batch.expected)
        keep_totals(connection, batch.history)
        _erase(connection, batch.erased)
        _insert(connection, batch)
        _count_activity(connection, batch)
        _sweep(connection, batch)
        _move(connection, batch.reached)


def _check_positions(connection: Connection, expected: dict[Place, Position]) -> None:
    found = _locked_positions(connection, expected)
    absent = [place for place in sorted(expected) if place not in found]
    if absent:
        # A row must exist to be locked: two sinks that both begin would otherwise both succeed.
        rows = [{"topic": topic, "partition": partition, **_columns(Position())} for topic, partition in absent]
        insert_missing(connection, tables.sink_offsets, rows)
        found = _locked_positions(connection, expected)
    for place, position in expected.items():
        if found[place] != position:
            raise StoreConflict(
                f"{place[0]} partition {place[1]} stands at {found[place].next_offset} in the database, "
                f"not at {position.next_offset}: another sink has written"
            )


def _locked_positions(connection: Connection, places: Iterable[Place]) -> dict[Place, Position]:
    offsets = tables.sink_offsets
    query = (
        select(offsets)
        .where(tuple_(offsets.c.topic, offsets.c.partition).in_(sorted(places)))
        .order_by(offsets.c.topic, offsets.c.partition)
        .with_for_update()
    )
    return {(row.topic, row.partition): Position(row.incarnation, row.next_offset) for row in connection.execute(query)}


def _columns(position: Position) -> dict[str, str | int]:
    return {"incarnation": position.incarnation, "next_offset": position.next_offset}


def _move(connection: Connection, reached: dict[Place, Position]) -> None:
    if not reached:
        return
    offsets = tables.sink_offsets
    statement = update(offsets).where(
        offsets.c.topic == bindparam("at_topic"), offsets.c.partition == bindparam("at_partition")
    )
    rows = [
        {"at_topic": topic, "at_partition": partition, **_columns(reached[topic, partition])}
        for topic, partition in sorted(reached)
    ]
    connection.execute(statement, rows)


def _erase(connection: Connection, erased: dict[str, bytes]) -> None:
    """Delete what the database holds of customers whose tombstone came; the batch may bring them back as new."""
    if not erased:
        return
    rows = [{"erased": customer_id} for customer_id in erased]
    for table in (tables.customers, tables.scores):
        connection.execute(delete(table).where(table.c.customer_id == bindparam("erased")), rows)
    keys = [{"erased": key} for key in erased.values()]
    states = tables.customer_states
    connection.execute(delete(states).where(states.c.key == bindparam("erased")), keys)


def _insert(connection: Connection, batch: SinkBatch) -> None:
    upsert(connection, tables.customers, list(batch.customers.values()))
    insert_missing(connection, tables.scores, batch.scores)
    _insert_changes(connection, batch.segment_changes)
    insert_missing(connection, tables.budget_signals, batch.budget_signals)
    insert_missing(connection, tables.training_examples, batch.training_examples)
    upsert(connection, tables.models, batch.models)
    stored_ms = round(time.time() * 1000)
    insert_missing(connection, tables.dead_letters, [{**row, "stored_ms": stored_ms} for row in batch.dead_letters])
    upsert(connection, tables.partitions, list(batch.partitions.values()))
    states = tables.customer_states
    kept = [
        {"partition": place, "key": key, "row": row} for (place, key), row in batch.states.items() if row is not None
    ]
    upsert(connection, states, kept)
    gone = [{"at": place, "name": key} for (place, key), row in batch.states.items() if row is None]
    if gone:
        connection.execute(
            delete(states).where(states.c.partition == bindparam("at"), states.c.key == bindparam("name")), gone
        )


def _insert_changes(connection: Connection, changes: Sequence[Row]) -> None:
    """Add the segment changes that are new, counted on in the order of their partition, and count them by day."""
    if not changes:
        return
    stored = tables.segment_changes
    ids = [row["event_id"] for row in changes]
    known = set(connection.execute(select(stored.c.event_id).where(stored.c.event_id.in_(ids))).scalars())
    new = {row["event_id"]: row for row in reversed(changes) if row["event_id"] not in known}
    if not new:
        return
    feeds = tables.feeds
    partitions = {row["partition"] for row in new.values()}
    found = connection.execute(select(feeds).where(feeds.c.partition.in_(partitions)))
    next_seq = dict.fromkeys(partitions, 0) | {row.partition: row.next_seq for row in found}
    rows = []
    for row in reversed(new.values()):
        rows.append({**row, "feed_seq": next_seq[row["partition"]]})
        next_seq[row["partition"]] += 1
    insert_missing(connection, stored, rows)
    upsert(connection, feeds, [{"partition": place, "next_seq": seq} for place, seq in sorted(next_seq.items())])
    keep_moves(connection, rows)


def _count_activity(connection: Connection, batch: SinkBatch) -> None:
    figures: defaultdict[int, Counter[str]] = defaultdict(
        lambda: Counter({"orders": 0, "scores": 0, "segment_changes": 0, "dead_letters": 0})
    )
    for row in batch.scores:
        figures[row["partition"]].update({"scores": 1, "orders": int(row["reason"] == "order")})
    for name in ("segment_changes", "dead_letters"):
        for row in getattr(batch, name):
            figures[row["partition"]][name] += 1
    if figures:
        keep_activity(connection, round(time.time() * 1000) // ACTIVITY_BUCKET_MS * ACTIVITY_BUCKET_MS, figures)


def _sweep(connection: Connection, batch: SinkBatch) -> None:
    """Delete what erased customers left in the other topics.

    Those topics have no common order with the tombstone's, so a row from before it can come after it. A row is from
    before when no score that remains is as old: a new life begins with a score. When a state row comes that is deleted
    or tells of an erasure, it is done again: whatever the worker emitted before it is in the database by then.
    """
    deleted = {
        key.decode(errors="replace")
        for (_, key), row in batch.states.items()
        if row is None or (not key.startswith(_OWN) and is_erased(row))
    }
    gone = [{"erased": customer_id} for customer_id in sorted(deleted.union(batch.erased)) if "\x00" not in customer_id]
    if not gone:
        return
    begun = (
        select(func.coalesce(func.min(tables.scores.c.as_of_ms), literal(_LAST_MS, BigInteger)))
        .where(tables.scores.c.customer_id == bindparam("erased"))
        .scalar_subquery()
    )
    for table in (tables.segment_changes, tables.training_examples):
        of_customer = table.c.customer_id == bindparam("erased")
        connection.execute(delete(table).where(of_customer, table.c.as_of_ms < begun), gone)
    _sweep_letters(connection, batch.erased, {row["erased"] for row in gone} - batch.erased.keys())


def _sweep_letters(connection: Connection, erased: dict[str, bytes], again: set[str]) -> None:
    """Delete the dead letters of customers whose tombstone came, and once more of those erased before.

    Who has come back may have new ones, which nothing tells from the old: they keep theirs.
    """
    stored = tables.customers.c.customer_id
    back = set(connection.execute(select(stored).where(stored.in_(again))).scalars()) if again else set()
    keys = erased | {customer_id: customer_id.encode() for customer_id in again - back}
    if not keys:
        return
    named = letter_names(connection, bindparam("key", type_=LargeBinary), bindparam("json_id", type_=LargeBinary))
    rows = [{"key": key, "json_id": json_text(customer_id)} for customer_id, key in keys.items()]
    connection.execute(delete(tables.dead_letters).where(named), rows)
