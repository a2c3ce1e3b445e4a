"""The sink's loop over a consumer and a database: what is read when, and written together with what.

States are never ahead of outputs in SQL: records of the changelog are held back until every output that was on the
broker when they were read is in the database or in the same transaction. The worker delivers outputs before the
changelog, so whoever fills an empty broker from the stored states misses no output.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

import structlog
from aiokafka.errors import IllegalStateError

from clv.errors import BrokerError, StoreConflict
from clv.topics import ORDERS
from observability.sink import SinkMetrics
from storage.batch import Place, Position
from storage.sinking import load_positions, write_batch
from streams.sink_batches import KEYED_OUTPUT_TOPICS, collect
from streams.store_retry import retry_store

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from aiokafka import TopicPartition

    from storage.batch import SinkBatch
    from storage.engine import Database
    from streams.sink_batches import SinkRecord

log = structlog.get_logger(__name__)

BATCH_RECORDS = 4_000
"""Most records that one read takes; a transaction holds at most three reads' worth."""
LINGER_SECONDS = 0.2
"""How long records wait for others to share their transaction."""
_IDLE_MS = 100
_UNASSIGNED_SECONDS = 0.5
_CHECK_SECONDS = 10.0


class SinkConsumer(Protocol):
    """What the loop needs of ``aiokafka.AIOKafkaConsumer``; see there for each method."""

    def assignment(self) -> frozenset[TopicPartition] | set[TopicPartition]:
        """Return the partitions that are this consumer's now."""
        ...

    async def getmany(
        self, *partitions: TopicPartition, timeout_ms: int = 0, max_records: int | None = None
    ) -> Mapping[TopicPartition, Sequence[SinkRecord]]:
        """Return records of these partitions in offset order; waits only when there are none."""
        ...

    async def end_offsets(self, partitions: list[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Return the offset after the last committed record of each partition."""
        ...

    async def position(self, partition: TopicPartition) -> int:
        """Return the next offset to read, past transaction markers."""
        ...

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Read on from this offset."""
        ...


class SinkLoop:
    """Moves records to SQL; call ``step`` again and again from one task.

    Parameters
    ----------
    consumer
        Reads the output topics and the changelog, partition p of all keyed topics together, and commits nothing.
    topic_ids
        Gives the id of every topic that exists, by name; a recreated topic has another.
    changelog
        Name of the customers table's changelog.
    stop
        When set, a wait for the database ends with ``StoreUnavailable``; what was read is still on the broker.
    metrics
        Where transactions are noted; by default in figures that nobody reads.
    """

    def __init__(
        self,
        consumer: SinkConsumer,
        database: Database,
        *,
        topic_ids: Callable[[], Awaitable[Mapping[str, str]]],
        changelog: str,
        stop: asyncio.Event,
        metrics: SinkMetrics | None = None,
    ) -> None:
        self._consumer = consumer
        self._metrics = metrics or SinkMetrics()
        self._database = database
        self._topic_ids = topic_ids
        self._changelog = changelog
        self._stop = stop
        self._is_stale = True
        self._ids: Mapping[str, str] = {}
        self._checked_at = 0.0
        self._outputs: list[TopicPartition] = []
        self._changelogs: list[TopicPartition] = []
        self._forget()

    def reassigned(self) -> None:
        """Note that the assignment changed: the next step drops what was read and asks SQL where to begin."""
        self._is_stale = True

    async def step(self) -> int:
        """Read what there is, waiting a moment for it, and store it when it is due; return the records stored.

        Raises
        ------
        StoreUnavailable
            When ``stop`` was set while the database was unavailable.
        StoreError
            When the database refuses a batch for good.
        """
        if self._stored and asyncio.get_running_loop().time() - self._checked_at > _CHECK_SECONDS:
            await self._check_ids()
        if self._is_stale and not await self._take_over():
            await asyncio.sleep(_UNASSIGNED_SECONDS)
            return 0
        try:
            await self._read()
            is_caught_up = await self._is_caught_up()
        except IllegalStateError:  # a partition was taken away in between
            self._is_stale = True
        if self._is_stale or not self._is_due(is_caught_up=is_caught_up):
            return 0
        return await self._flush(is_caught_up=is_caught_up)

    async def drain(self) -> int:
        """Store what was read so far, without the states that wait for outputs; return the records stored."""
        return await self._flush(is_caught_up=False) if self._pending and not self._is_stale else 0

    def _forget(self) -> None:
        self._stored: dict[Place, Position] = {}
        self._next: dict[Place, int] = {}
        self._pending: list[SinkRecord] = []
        self._held: list[SinkRecord] = []
        self._targets: Mapping[TopicPartition, int] = {}
        self._pending_since = 0.0

    async def _check_ids(self) -> None:
        self._checked_at = asyncio.get_running_loop().time()
        try:
            ids = await self._topic_ids()
        except BrokerError as problem:
            log.warning("topic ids unknown for now", problem=str(problem))
            return
        if any(ids.get(topic) != self._ids.get(topic) for topic, _ in self._stored):
            self._is_stale = True
        self._ids = ids

    async def _take_over(self) -> bool:
        """Seek each partition to where SQL stands; tell whether there is anything to read."""
        self._is_stale = False  # first: a rebalance during the awaits below sets it again
        self._forget()
        assigned = sorted(self._consumer.assignment())
        topics = {tp.topic for tp in assigned}
        if assigned:
            await self._check_ids()
        if not assigned or topics - set(self._ids):
            self._is_stale = True
            return False
        stored = await retry_store(self._stop, load_positions, self._database, topics)
        self._stored = {(tp.topic, tp.partition): stored.get((tp.topic, tp.partition), Position()) for tp in assigned}
        self._outputs = [tp for tp in assigned if tp.topic != self._changelog]
        self._changelogs = [tp for tp in assigned if tp.topic == self._changelog and self._has_outputs(tp.partition)]
        for tp in assigned:
            self._seek(tp)
        return not self._is_stale

    def _has_outputs(self, partition: int) -> bool:
        """Tell whether the outputs of a changelog's partition are ours too, without which its states must wait."""
        missing = [topic for topic in KEYED_OUTPUT_TOPICS if (topic, partition) not in self._stored]
        if missing:
            log.warning("states wait for a topic to be assigned", topic=missing[0], partition=partition)
        return not missing

    def _seek(self, tp: TopicPartition) -> None:
        place = (tp.topic, tp.partition)
        position = self._stored[place]
        is_same = position.incarnation == self._ids[tp.topic]
        if position.incarnation and not is_same:
            log.warning("topic was recreated, reading it from its beginning", topic=tp.topic, partition=tp.partition)
        self._next[place] = position.next_offset if is_same else 0
        try:
            self._consumer.seek(tp, self._next[place])
        except IllegalStateError:
            self._is_stale = True

    async def _read(self) -> None:
        if self._changelogs and not self._held:
            found = await self._consumer.getmany(*self._changelogs, max_records=BATCH_RECORDS)
            self._held = await self._accept(found)
            if self._held:
                self._targets = await self._consumer.end_offsets(self._outputs) if self._outputs else {}
        if self._outputs:
            wait_ms = _IDLE_MS // 4 if self._held or self._pending else _IDLE_MS
            found = await self._consumer.getmany(*self._outputs, timeout_ms=wait_ms, max_records=BATCH_RECORDS)
            was_empty = not self._pending
            self._pending += await self._accept(found)
            if was_empty and self._pending:
                self._pending_since = asyncio.get_running_loop().time()

    async def _accept(self, found: Mapping[TopicPartition, Sequence[SinkRecord]]) -> list[SinkRecord]:
        """Return the records of assigned partitions; note when a partition has gone back."""
        accepted: list[SinkRecord] = []
        for tp, records in found.items():
            place = (tp.topic, tp.partition)
            if place not in self._next or not records:
                continue
            if records[0].offset < self._next[place]:
                # Its topic was recreated, or the broker lost its end. Reading records again is safe, missing is not.
                log.warning("partition went back", topic=tp.topic, partition=tp.partition, offset=records[0].offset)
                await self._check_ids()
            self._next[place] = records[-1].offset + 1
            accepted += records
        return accepted

    async def _is_caught_up(self) -> bool:
        """Tell whether every output that preceded the held states has been read."""
        if not self._held:
            return False
        return all([await self._consumer.position(tp) >= end for tp, end in self._targets.items()])

    def _is_due(self, *, is_caught_up: bool) -> bool:
        waited = asyncio.get_running_loop().time() - self._pending_since
        is_lingering = bool(self._pending) and waited < LINGER_SECONDS and len(self._pending) < BATCH_RECORDS
        return (bool(self._pending) or is_caught_up) and not is_lingering

    def _write(self, batch: SinkBatch) -> None:
        with self._metrics.writing():
            write_batch(self._database, batch)

    async def _flush(self, *, is_caught_up: bool) -> int:
        records: list[Any] = [*self._pending, *(self._held if is_caught_up else ())]
        batch = collect(records, expected=self._stored, ids=self._ids, changelog=self._changelog)
        try:
            await retry_store(self._stop, self._write, batch)
        except StoreConflict as problem:
            log.warning("batch dropped, reading again from where the database stands", problem=str(problem))
            self._metrics.conflicts.inc()
            self._is_stale = True
            return 0
        letters = [(row["topic"] == ORDERS, row["reason"]) for row in batch.dead_letters]
        refused = [reason for is_order, reason in letters if is_order]
        self._metrics.note_stored(
            (record.topic for record in records), refused=refused, unstorable=len(letters) - len(refused)
        )
        self._stored.update(batch.reached)
        self._pending = []
        if is_caught_up:
            self._held = []
        return len(records)
