"""The orders agent: a thin loop that takes partition batches, runs the pipeline, delivers, and acknowledges."""

from __future__ import annotations

import asyncio
import copy
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from clv.erasure import remains_name
from clv.pipeline import Record
from observability.worker import WorkerMetrics
from streams.delivery import PartitionDelivery, Write
from streams.fencing import ChangelogFence
from streams.partitions import PartitionProcessor, Results
from streams.refusals import log_refusals, refusals
from streams.rows import PARTITION_KEY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from aiokafka import AIOKafkaProducer

    from clv.rules import Rules
    from clv.verdicts import Judgement
    from streams.fencing import Rows
    from streams.partitions import Models
    from streams.store import MemoryStore

log = structlog.get_logger(__name__)


REWIND_SECONDS = 5.0
"""How long after going back for a lost batch the ones behind it are dropped before it is tried again."""


class Source(Protocol):
    """Where the batches come from; called by the runner from the event loop."""

    def acked_to(self, partition: int) -> int:
        """Return the offset from which a partition is read after a rebalance."""
        ...

    async def seek(self, partition: int, offset: int) -> None:
        """Read on from an offset."""
        ...

    async def may_send(self) -> None:
        """Return once nobody else can have our partitions; raise when somebody has."""
        ...


class OrdersRunner:
    """Everything between a batch's arrival and its acknowledgement, for all partitions of this worker.

    Parameters
    ----------
    source
        Where the batches come from.
    store
        The customers table's store, recovered by Faust before any batch arrives.
    producer
        A started producer.
    models
        Published models.
    rules
        The deployment's rules.
    changelog, topic_id
        Name of the table's changelog and identity of the orders topic.
    batch_records
        Most records handled as one batch.
    on_failure
        Ends the process.
    end_offset
        Returns where a partition of the orders topic ends now, None where that is not known: records before it may
        have been given out by an earlier owner, and keep the models which that owner had adopted.
    read_changelog
        Reads a partition's rows from an offset up to another; None where nobody else can write there.
    metrics
        Where batches are noted; by default in figures that nobody reads.
    """

    def __init__(  # noqa: PLR0913 - the composition root names each part
        self,
        *,
        source: Source,
        store: MemoryStore,
        producer: AIOKafkaProducer,
        models: Models,
        rules: Rules,
        changelog: str,
        topic_id: str,
        batch_records: int,
        on_failure: Callable[[BaseException], None],
        end_offset: Callable[[int], int | None] = lambda _: None,
        read_changelog: Callable[[int, int, int], Awaitable[Rows]] | None = None,
        metrics: WorkerMetrics | None = None,
    ) -> None:
        self._source = source
        self._life = 0
        self._taken_to: dict[int, int] = {}
        self._rewound_at: dict[int, float] = {}
        self._store = store
        self._producer = producer
        self._models = models
        self._rules = rules
        self._changelog = changelog
        self._topic_id = topic_id
        self._batch_records = batch_records
        self._on_failure = on_failure
        self._end_offset = end_offset
        self._read_changelog = read_changelog
        self._metrics = metrics or WorkerMetrics()
        self._processors: dict[int, PartitionProcessor] = {}
        self._deliveries: dict[int, PartitionDelivery] = {}

    @property
    def processors(self) -> dict[int, PartitionProcessor]:
        """Partitions that have been processed since the last rebalance."""
        return self._processors

    async def run(self, events: AsyncIterator[Any]) -> None:
        """Take batch events (``streams.transport``) until the stream ends."""
        async for event in events:
            number, batch = event.message.partition, event.message.value
            try:
                if await self._continues(number, batch.from_offset):
                    life = self._life
                    await self.take(number, batch.records, event.ack)
                    if life == self._life:  # else a rebalance came between, and the batch will come again
                        self._taken_to[number] = batch.records[-1].offset + 1
            except Exception as problem:
                # An exception that leaves the loop would make Faust acknowledge the batch: the process must end.
                self._on_failure(problem)
                raise

    async def _continues(self, number: int, from_offset: int) -> bool:
        """Tell whether a batch begins where the last one taken ended; if one was lost between them, go back for it.

        Faust empties its queues when a rebalance ends, and may have filled them already.
        """
        expected = self._taken_to.get(number)
        if expected is None:
            expected = self._source.acked_to(number)
        if from_offset == expected:
            self._rewound_at.pop(number, None)
            return True
        now = asyncio.get_running_loop().time()
        if now - self._rewound_at.get(number, -REWIND_SECONDS) >= REWIND_SECONDS:
            self._rewound_at[number] = now
            log.warning("a batch was lost on the way, going back", partition=number, at=from_offset, to=expected)
            self._metrics.rewinds.inc()
            await self._source.seek(number, expected)
        return False

    async def take(self, number: int, raw_records: list[Any], ack: Callable[[], Any]) -> None:
        """Process one partition batch and submit it for delivery; ``ack`` is called when all of it is durable."""
        processor = self.processor(number)
        delivery = self._delivery(number)
        records = [Record(r.offset, r.key, r.value) for r in raw_records]
        fresh = [r for r in records if r.offset > processor.state.applied_offset]
        if fresh and processor.adopts(fresh[0].offset, self._models.latest_sequence()):
            await self._adopt(processor, delivery, fresh[0].offset)
        slices = processor.slices(fresh, self._batch_records)
        arrived_ms = raw_records[0].timestamp
        for place, part in enumerate(slices):
            with self._metrics.step("models"):
                judgement = await self._models.judgement(processor.in_force(part[0].offset))
            results = self._process(processor, part, judgement)
            is_last = place == len(slices) - 1
            with self._metrics.step("submit"):
                await delivery.submit(self._write(processor, results, ack if is_last else None, arrived_ms))
            await asyncio.sleep(0)  # a slice may take long: others on the event loop come first
        if not slices:
            await delivery.submit(Write([], {}, lambda _: ack()))

    def _process(self, processor: PartitionProcessor, part: list[Record], judgement: Judgement) -> Results:
        """Process a slice, and note what became of it: by the counts, so that it costs nothing by record."""
        counts = processor.state.counts
        before = copy.copy(counts)
        with self._metrics.step("process"):
            results = processor.process(part, judgement)
        self._metrics.note_batch(before, counts, outputs=len(results.outputs), rows=len(results.rows))
        if counts.dead > before.dead:
            refused = refusals(results.outputs)
            self._metrics.note_dead(refusal.reason for refusal in refused)
            log_refusals(refused)
        return results

    async def _adopt(self, processor: PartitionProcessor, delivery: PartitionDelivery, first_offset: int) -> None:
        """Make durable which models are in force from a record on, before any output uses them."""
        sequence = self._models.latest_sequence()
        self._metrics.adoptions.inc()
        await delivery.drain()
        rows = processor.adopt(first_offset, sequence)
        number = processor.batch_number
        await delivery.submit(Write([], rows, lambda at: processor.settle(Results([], rows), number, at)))
        await delivery.drain()

    def _write(
        self, processor: PartitionProcessor, results: Results, ack: Callable[[], Any] | None, arrived_ms: int
    ) -> Write:
        number, submitted_at = processor.batch_number, time.perf_counter()

        def on_durable(changelog_offset: int) -> None:
            processor.settle(results, number, changelog_offset)
            self._metrics.note_durable(submitted_at=submitted_at, arrived_ms=arrived_ms)
            if ack:
                ack()

        return Write(results.outputs, results.rows, on_durable)

    def processor(self, number: int) -> PartitionProcessor:
        """Return a partition's processor, made from the recovered store if this is its first use."""
        processor = self._processors.get(number)
        if processor is None:
            rows = self._store.rows(number)
            processor = PartitionProcessor(
                number,
                rows,
                topic_id=self._topic_id,
                rules=self._rules,
                batch_records=self._batch_records,
                end_offset=self._end_offset(number),
            )
            if processor.was_recreated:
                log.warning("orders topic was recreated", partition=number, topic_id=self._topic_id)
            self._processors[number] = processor
        return processor

    def _delivery(self, number: int) -> PartitionDelivery:
        delivery = self._deliveries.get(number)
        if delivery is None:
            delivery = PartitionDelivery(
                self._producer,
                self._changelog,
                number,
                self._on_failure,
                may_send=self._source.may_send,
                fence=self._fence(number),
            )
            self._deliveries[number] = delivery
        return delivery

    def _fence(self, number: int) -> ChangelogFence | None:
        if self._read_changelog is None:
            return None
        rows = self._store.rows(number)
        return ChangelogFence(
            rows.get,
            partial(self._read_changelog, number),
            self._store.next_changelog_offset(number),
            lambda key: rows.get(remains_name(key.decode(errors="replace"), self._rules.erasure_key).encode()),
        )

    async def note_changelog_end(self, number: int, end: int) -> None:
        """Note where the changelog ends; if an idle partition's has grown without us, see to it by writing there."""
        delivery = self._deliveries.get(number)
        if delivery is None or not delivery.is_idle or not delivery.has_intruder(end):
            return
        row = self._store.rows(number).get(PARTITION_KEY)
        if row is not None:
            await delivery.submit(Write([], {PARTITION_KEY: row}, lambda _: None))

    async def forget(self) -> None:
        """Drop partitions' processors after a rebalance; rows and timers are read again from the recovered store."""
        deliveries = list(self._deliveries.values())
        self._life += 1
        self._taken_to.clear()
        self._rewound_at.clear()
        self._processors.clear()
        self._deliveries.clear()
        for delivery in deliveries:
            await delivery.stop()
