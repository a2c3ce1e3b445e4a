"""Delivery of a partition's batches: outputs durable, then changelog durable, then acknowledged, in order.

Batches are pipelined: outputs of the next one are sent while earlier ones are in flight. A failed send ends the
process before anything later is acknowledged. What became durable is never taken back, so a crash may repeat an
output under the same event id, and never loses one.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from aiokafka import AIOKafkaProducer

    from streams.codecs import Headers, Produced
    from streams.fencing import ChangelogFence

MAX_BATCH_BYTES = 900_000
"""Of a producer's batches: within what topics take, with room for a batch's own header."""
MAX_IN_FLIGHT = 8
"""Batches of a partition that may be under way; with the batch size it bounds what a crash can repeat."""


NO_OFFSET = -1
"""Durable, but the changelog is not wholly applied up to a later place than before: others share the write."""
KafkaRecord = tuple[bytes | None, bytes | None, "Headers"]
"""Key, value and headers of a record to send."""


class Write(NamedTuple):
    """One batch's results: records to the output topics, rows to the changelog, and what to do once all is durable."""

    outputs: list[Produced]
    rows: Mapping[bytes, bytes | None]
    on_durable: Callable[[int], None]


class _Submitted(NamedTuple):
    sent: list[asyncio.Future[Any]]
    write: Write


class PartitionDelivery:
    """Delivers the batches of one partition in order.

    Parameters
    ----------
    producer
        A started producer with ``acks="all"``.
    changelog
        Name of the changelog topic.
    partition
        Partition of the source, and so of the changelog and of every keyed output.
    on_failure
        Called once with the exception when a send fails for good; must end the process.
    may_send
        Awaited before anything is sent: returns once nobody else can have the partition, raises when somebody has.
    fence
        Watches over the changelog where others could write to it.
    """

    def __init__(
        self,
        producer: AIOKafkaProducer,
        changelog: str,
        partition: int,
        on_failure: Callable[[BaseException], None],
        *,
        may_send: Callable[[], Awaitable[None]] | None = None,
        fence: ChangelogFence | None = None,
    ) -> None:
        self._producer = producer
        self._changelog = changelog
        self._partition = partition
        self._on_failure = on_failure
        self._may_send = may_send
        self._fence = fence
        self._queue: asyncio.Queue[_Submitted] = asyncio.Queue(MAX_IN_FLIGHT)
        self._unfinished = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._task = asyncio.create_task(self._run(), name=f"delivery-{partition}")

    async def submit(self, write: Write) -> None:
        """Send a batch's outputs and queue the rest; waits while too many batches are under way.

        After a stop or a failure nothing is taken any more, nor acknowledged: whoever comes next does it again.
        """
        if self._task.done():
            return
        self._unfinished += 1
        self._idle.clear()
        await self._be_sure()
        sent = await self._send_outputs(write.outputs)
        await self._queue.put(_Submitted(sent, write))

    @property
    def is_idle(self) -> bool:
        """Whether all that was submitted is durable."""
        return not self._unfinished and not self._task.done()

    def has_intruder(self, end: int) -> bool:
        """Tell whether the changelog, which ends here, holds rows behind our last that are not ours."""
        return self._fence is not None and self._fence.is_behind(end)

    async def _be_sure(self) -> None:
        if self._may_send is not None:
            await self._may_send()

    async def drain(self) -> None:
        """Wait until all that was submitted is durable, or never will be because of a stop or a failure."""
        await self._idle.wait()

    async def stop(self) -> None:
        """Stop; what is not durable yet stays unacknowledged."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        try:
            while True:
                await self._deliver(await self._take())
        except asyncio.CancelledError:
            raise
        except BaseException as problem:  # noqa: BLE001 - whatever it is, nothing later may be acknowledged
            self._on_failure(problem)
        finally:
            self._let_go()

    def _let_go(self) -> None:
        """Wake whoever waits for room or for the end: neither will come."""
        while not self._queue.empty():
            self._queue.get_nowait()
        self._idle.set()

    async def _take(self) -> list[_Submitted]:
        """Wait for the next batch and take all that are there: their rows can share one write."""
        taken = [await self._queue.get()]
        while not self._queue.empty():
            taken.append(self._queue.get_nowait())
        return taken

    async def _deliver(self, batches: list[_Submitted]) -> None:
        for batch in batches:
            await asyncio.gather(*batch.sent)
        rows: dict[bytes, bytes | None] = {}
        for batch in batches:
            for key, row in batch.write.rows.items():
                # Moved to the end: a partition's own row says that its customers' rows are there, so it comes last.
                rows.pop(key, None)
                rows[key] = row
        offset = await self._write_changelog(rows)
        self._settle(batches, offset)
        if self._fence is not None and (stale := self._fence.to_repeat()):
            await self._write_changelog(stale)

    def _settle(self, batches: list[_Submitted], offset: int) -> None:
        for batch in batches[:-1]:
            batch.write.on_durable(NO_OFFSET)
        batches[-1].write.on_durable(offset)
        self._unfinished -= len(batches)
        if not self._unfinished:
            self._idle.set()

    async def _write_changelog(self, rows: Mapping[bytes, bytes | None]) -> int:
        """Write rows; return the offset of the last, or ``NO_OFFSET`` where there were none."""
        if not rows:
            return NO_OFFSET
        await self._be_sure()
        records: list[KafkaRecord] = [(key, value, []) for key, value in rows.items()]
        futures = await send_records(self._producer, self._changelog, self._partition, records)
        sent = await asyncio.gather(*(future for future, _ in futures))
        places = [(int(place.offset), count) for place, (_, count) in zip(sent, futures, strict=True)]
        if self._fence is not None:
            await self._fence.note(places, rows)
        return max(first + count - 1 for first, count in places)

    async def _send_outputs(self, outputs: list[Produced]) -> list[asyncio.Future[Any]]:
        by_topic: dict[str, list[KafkaRecord]] = defaultdict(list)
        for record in outputs:
            by_topic[record.topic].append((record.key, record.value, record.headers))
        sent = []
        for topic, records in by_topic.items():
            sent += [future for future, _ in await send_records(self._producer, topic, self._partition, records)]
        return sent


async def send_records(
    producer: AIOKafkaProducer,
    topic: str,
    partition: int,
    records: Iterable[KafkaRecord],
) -> list[tuple[asyncio.Future[Any], int]]:
    """Send records in as few batches as they fit; return each batch's future and number of records.

    Raises
    ------
    ValueError
        When a single record does not fit into a batch.
    """
    futures = []
    builder, count = producer.create_batch(), 0
    for key, value, headers in records:
        if builder.append(key=key, value=value, timestamp=None, headers=headers) is None:
            futures.append((await producer.send_batch(builder, topic, partition=partition), count))
            builder, count = producer.create_batch(), 0
            if builder.append(key=key, value=value, timestamp=None, headers=headers) is None:
                raise ValueError(f"a record of {len(value or b'')} bytes does not fit into a batch for {topic}")
        count += 1
    if count:
        futures.append((await producer.send_batch(builder, topic, partition=partition), count))
    return futures
