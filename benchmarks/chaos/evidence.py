"""What a deployment holds once it has come to rest: topics, tables, local stores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from clv.outcomes import BudgetSignal, ExampleTopicEvent, ModelAnnounced, Score, SegmentChange
from clv.topics import (
    BUDGET_SIGNALS,
    DEAD_LETTERS,
    MODELS,
    ORDERS,
    SCORES,
    SEGMENT_CHANGES,
    TRAINING_EXAMPLES,
    changelog_topic,
)
from streams.store import RocksRows

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from benchmarks.chaos.observer import Observer
    from benchmarks.chaos.stage import Stage
    from storage.engine import Database

_KINDS: dict[str, Any] = {
    SCORES: Score,
    SEGMENT_CHANGES: SegmentChange,
    TRAINING_EXAMPLES: ExampleTopicEvent,
    MODELS: ModelAnnounced,
    BUDGET_SIGNALS: BudgetSignal,
}


class Topics(NamedTuple):
    """Records by topic as they lie there; ``unique`` without those that repeat an event id, decoded beside them."""

    raw: dict[str, list[Any]]
    unique: dict[str, list[Any]]
    events: dict[str, list[Any]]
    conflicts: int

    @property
    def repeats(self) -> int:
        """How many records repeat another's event id."""
        return sum(len(self.raw[topic]) - len(found) for topic, found in self.unique.items())


def read_topics(stage: Stage) -> Topics:
    """Read all topics of a deployment."""
    observer: Observer = stage.observer
    count = stage.settings.partitions
    names = (ORDERS, *_KINDS, DEAD_LETTERS, changelog_topic(stage.settings.group))
    raw = {
        name: stage.background.run(
            observer.records(name, 1 if name in (MODELS, BUDGET_SIGNALS) else count), seconds=300
        )
        for name in names
    }
    unique: dict[str, list[Any]] = {}
    events: dict[str, list[Any]] = {}
    conflicts = 0
    for topic in (*_KINDS, DEAD_LETTERS):
        unique[topic], events[topic], differing = _without_repeats(topic, raw[topic])
        conflicts += differing
    return Topics(raw, unique, events, conflicts)


def _without_repeats(topic: str, records: Iterable[Any]) -> tuple[list[Any], list[Any], int]:
    """Drop records that repeat an event id; count those whose content then differs."""
    first: dict[str, Any] = {}
    unique, events, conflicts = [], [], 0
    for record in records:
        name = dict(record.headers).get("ce_id", b"").decode()
        if name and name in first:
            conflicts += first[name] != record.value
            continue
        first[name] = record.value
        unique.append(record)
        if topic in _KINDS and name:
            events.append(msgspec.json.decode(record.value, type=_KINDS[topic]))
    return unique, events, conflicts


def rebuilt(records: Iterable[Any]) -> dict[tuple[int, bytes], bytes]:
    """Return the table as its changelog has it."""
    rows: dict[tuple[int, bytes], bytes] = {}
    for record in records:
        if record.value is None:
            rows.pop((record.partition, record.key), None)
        else:
            rows[record.partition, record.key] = record.value
    return rows


def stored_rows(database: Database, table: str) -> list[dict[str, Any]]:
    """Return a SQL table's rows."""
    with database.reading() as connection:
        found = connection.exec_driver_sql(f'SELECT * FROM "{table}"').mappings()
        return [
            {name: bytes(value) if isinstance(value, memoryview) else value for name, value in row.items()}
            for row in found
        ]


class LocalStore(NamedTuple):
    """One worker's rows of one partition, and how far it has applied the changelog."""

    worker: str
    partition: int
    offset: int
    rows: dict[bytes, bytes]


def local_stores(folder: Path, workers: Iterable[str]) -> list[LocalStore]:
    """Open what the workers, ended by now, keep on disk."""
    found = []
    for worker in workers:
        for path in sorted((folder / worker).rglob("customers-*.rocksdb")):
            rows = RocksRows(path)
            offset = rows.changelog_offset()
            if offset is not None:
                found.append(LocalStore(worker, int(path.name.split("-")[1]), offset, dict(rows.items())))
            rows.close()
    return found
