"""How many records a second the sink stores, durably: what a worker gives out for orders, in the sink's batches."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.load import orders
from benchmarks.measure import interleaved, medians
from clv.pipeline import Record
from clv.rules import Rules
from clv.segments import Policies, SegmentPolicy
from clv.topics import ORDERS, changelog_topic
from clv.verdicts import Judgement
from storage.batch import Position
from storage.engine import Database
from storage.schema import upgrade
from storage.sinking import load_positions, write_batch
from streams.codecs import Produced
from streams.partitions import PartitionProcessor
from streams.sink_batches import KEYED_OUTPUT_TOPICS, collect
from streams.store import MemoryRows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from clv.ports import Scorer
    from streams.codecs import Headers

_GROUP = "clv"
_CHANGELOG = changelog_topic(_GROUP)
_TOPIC_ID = "bench"
_IDS = dict.fromkeys((*KEYED_OUTPUT_TOPICS, _CHANGELOG, ORDERS), _TOPIC_ID)
_POLICY = SegmentPolicy("bench", 0, high_minor=20_000, growth_minor=5_000)
BATCH_RECORDS = 2_000
"""Of one transaction of the sink under load."""


class _Output(NamedTuple):
    """A record as the sink consumes it."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers


def measure_sink(  # noqa: PLR0913  # what is measured, by keyword
    scorer: Scorer,
    *,
    count: int,
    customers: int,
    database_url: str,
    rounds: int,
    start_ms: int,
    observe: Callable[[str], None] = lambda _name: None,
) -> dict[str, Any]:
    """Store what a worker gives out for so many orders; return rates in records and in orders.

    Parameters
    ----------
    database_url
        Where to store, an empty database for each round is made by migrating down and up; a new SQLite file for each
        round where empty.
    """
    batches, records, source_seconds = _given_out(scorer, count, customers, start_ms)
    samples = interleaved({"sink": lambda: _store(batches, database_url)}, rounds=rounds, observe=observe)["sink"]
    found = medians(samples)
    return {
        "store": database_url.partition(":")[0] or "sqlite",
        "orders": count,
        "customers": customers,
        "records_per_order": round(records / count, 3),
        "records": found.as_dict(),
        "orders_per_s": round(found.per_second * count / records, 1),
        "worker_pipeline_orders_per_s": round(count / source_seconds, 1),
        "ratio": round(found.per_second * source_seconds / records, 3),
    }


def _given_out(scorer: Scorer, count: int, customers: int, start_ms: int) -> tuple[list[list[_Output]], int, float]:
    """Run orders through a partition's processor; return the sink's batches, their records, and the seconds taken."""
    import time  # noqa: PLC0415  # beside its one use

    rules = Rules()
    judgement = Judgement(scorer, Policies([_POLICY]), rules)
    processor = PartitionProcessor(0, MemoryRows(), topic_id=_TOPIC_ID, rules=rules, batch_records=BATCH_RECORDS)
    ends = dict.fromkeys(_IDS, 0)
    batches, total, begun = [], 0, time.perf_counter()
    for part in _parts(orders(count, customers, start_ms=start_ms)):
        results = processor.process(part, judgement)
        processor.settle(results, processor.batch_number, 0)
        rows: list[Produced] = [Produced(_CHANGELOG, key, row, []) for key, row in results.rows.items()]
        batch: list[_Output] = []
        for topic, key, value, headers in (*results.outputs, *rows):
            batch.append(_Output(topic, 0, ends[topic], key, value, headers))
            ends[topic] += 1
        batches.append(batch)
        total += len(batch)
    return batches, total, time.perf_counter() - begun


def _parts(load: Iterator[tuple[bytes, bytes]]) -> Iterator[list[Record]]:
    part: list[Record] = []
    for offset, (key, value) in enumerate(load):
        part.append(Record(offset, key, value))
        if len(part) == BATCH_RECORDS:
            yield part
            part = []
    if part:
        yield part


def _store(batches: Sequence[Sequence[_Output]], database_url: str) -> int:
    with tempfile.TemporaryDirectory() as folder:
        url = database_url or f"sqlite:///{Path(folder) / 'clv.db'}"
        if database_url:
            _empty(url)
        upgrade(url)
        database = Database(url)
        try:
            stored = load_positions(database, list(_IDS))
            stored |= {(topic, 0): Position() for topic in _IDS if (topic, 0) not in stored}
            for records in batches:
                batch = collect(records, expected=stored, ids=_IDS, changelog=_CHANGELOG)
                write_batch(database, batch)
                stored.update(batch.reached)
        finally:
            database.close()
    return sum(map(len, batches))


def _empty(url: str) -> None:
    from storage.schema import downgrade  # noqa: PLC0415  # beside its one use

    upgrade(url)
    downgrade(url, "base")
