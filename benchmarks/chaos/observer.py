"""Looks at a deployment from outside the proxy: where topics end, what is committed and stored, sampled all along."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from clv.topics import ORDERS, changelog_topic
from streams.clients import aiokafka_settings
from streams.sink_batches import OUTPUT_TOPICS
from streams.topics import partition_count, specs

if TYPE_CHECKING:
    from clv.settings import Settings

_SAMPLE_SECONDS = 0.5


class Sample(NamedTuple):
    """What was committed of a partition of the orders at a moment, epoch seconds."""

    at: float
    partition: int
    offset: int


class Observer:
    """Asks the broker directly; every answer may fail with ``KafkaError`` while the broker is down.

    Parameters
    ----------
    settings
        Name the broker, not by way of the proxy.
    group
        The workers' consumer group.
    """

    def __init__(self, settings: Settings, group: str) -> None:
        self._settings = settings
        self._group = group
        self.samples: list[Sample] = []
        self.regressions = 0

    async def watch(self) -> None:
        """Sample the committed offsets until cancelled."""
        highest: dict[int, int] = {}
        while True:
            with contextlib.suppress(KafkaError, TimeoutError, OSError):
                at = time.time()
                for number, offset in (await self.committed()).items():
                    self.regressions += offset < highest.get(number, 0)
                    if offset > highest.get(number, 0):
                        highest[number] = offset
                        self.samples.append(Sample(at, number, offset))
            await asyncio.sleep(_SAMPLE_SECONDS)

    async def committed(self) -> dict[int, int]:
        """Return the next offset to process of each partition of the orders, as the workers' group has committed it."""
        async with asyncio.timeout(10):
            admin = AIOKafkaAdminClient(**aiokafka_settings(self._settings))
            await admin.start()
            try:
                found = await admin.list_consumer_group_offsets(self._group)
            finally:
                await admin.close()
        return {place.partition: known.offset for place, known in found.items() if place.topic == ORDERS}

    async def ends(self) -> dict[TopicPartition, int]:
        """Return where every partition of the orders, the outputs and the changelog ends."""
        names = {ORDERS, *OUTPUT_TOPICS, changelog_topic(self._settings.group)}
        counts = {spec.name: partition_count(spec, self._settings) for spec in specs(self._settings)}
        places = [TopicPartition(name, number) for name in names for number in range(counts[name])]
        async with asyncio.timeout(10), self._consumer() as consumer:
            found: dict[TopicPartition, int] = await consumer.end_offsets(places)
            return found

    async def records(self, topic: str, partitions: int) -> list[Any]:
        """Return all committed records of a topic, partition by partition."""
        places = [TopicPartition(topic, number) for number in range(partitions)]
        found: dict[TopicPartition, list[Any]] = {place: [] for place in places}
        async with asyncio.timeout(300), self._consumer() as consumer:
            consumer.assign(places)
            ends = await consumer.end_offsets(places)
            while any([await consumer.position(place) < end for place, end in ends.items()]):
                for place, records in (await consumer.getmany(timeout_ms=500)).items():
                    found[place] += records
        return [record for place in places for record in found[place]]

    def _consumer(self) -> AIOKafkaConsumer:
        return AIOKafkaConsumer(
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            **aiokafka_settings(self._settings),
        )
