"""A consumer over records in memory, which a test can stall, recreate and hand to somebody else."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiokafka import TopicPartition
from aiokafka.errors import IllegalStateError

from clv import topics
from tests.contract.storage.outputs import CHANGELOG, IDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.contract.storage.outputs import OutputTopics, Record

SCORES = TopicPartition(topics.SCORES, 0)
STATES = TopicPartition(CHANGELOG, 0)


class MemoryConsumer:
    """Consumes what ``outputs`` holds by then; every topic has one partition.

    ``stalled`` partitions give no records though their ends move on.
    """

    def __init__(self, outputs: OutputTopics) -> None:
        self.outputs = outputs
        self.assigned = {TopicPartition(topic, 0) for topic in IDS if topic != topics.ORDERS}
        self.stalled: set[TopicPartition] = set()
        self._positions: dict[TopicPartition, int] = {}

    def assignment(self) -> set[TopicPartition]:
        """Return the partitions that are ours."""
        return self.assigned

    async def getmany(
        self, *partitions: TopicPartition, timeout_ms: int = 0, max_records: int | None = None
    ) -> Mapping[TopicPartition, list[Record]]:
        """Return up to ``max_records`` of each partition, without waiting."""
        await asyncio.sleep(0)
        found: dict[TopicPartition, list[Record]] = {}
        for partition in set(partitions) & self.assigned - self.stalled:
            position = self._positions.get(partition, 0)
            records = [record for record in self._records(partition) if record.offset >= position][:max_records]
            if records:
                found[partition] = records
                self._positions[partition] = records[-1].offset + 1
        return found

    async def end_offsets(self, partitions: list[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Return the number of records."""
        return {partition: len(self._records(partition)) for partition in partitions}

    async def position(self, partition: TopicPartition) -> int:
        """Return the next offset."""
        return self._positions.get(partition, 0)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Go to an offset; beyond the end the broker resets to the beginning."""
        if partition not in self.assigned:
            raise IllegalStateError("not assigned")
        self._positions[partition] = offset if offset <= len(self._records(partition)) else 0

    def _records(self, partition: TopicPartition) -> list[Record]:
        return [record for record in self.outputs.records if record.topic == partition.topic]
