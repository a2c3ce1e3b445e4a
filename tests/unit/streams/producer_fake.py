"""A producer that keeps what it is given, and says it is durable only when told."""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple


class Place(NamedTuple):
    """Where a batch came to lie: the offset of its first record."""

    offset: int


class Batch:
    """Collects records as a batch does; ``capacity`` records fit."""

    def __init__(self, capacity: int) -> None:
        self.records: list[tuple[bytes | None, bytes | None]] = []
        self._capacity = capacity

    def append(self, *, key: bytes | None, value: bytes | None, timestamp: None, headers: list[Any]) -> Any:
        """Take a record; None when there is no room left."""
        if len(self.records) >= self._capacity:
            return None
        self.records.append((key, value))
        return len(self.records)


class Sent(NamedTuple):
    """A batch under way."""

    topic: str
    partition: int
    records: list[tuple[bytes | None, bytes | None]]
    future: asyncio.Future[Place]
    offset: int

    def land(self) -> None:
        """Make it durable; whoever has given up waiting does not hear of it."""
        if not self.future.done():
            self.future.set_result(Place(self.offset))

    def fail(self, problem: Exception) -> None:
        """Make it fail for good."""
        self.future.set_exception(problem)


class FakeProducer:
    """Stands for a started ``AIOKafkaProducer``; with ``is_prompt`` everything is durable at once."""

    def __init__(self, *, is_prompt: bool = False, capacity: int = 1_000) -> None:
        self.sent: list[Sent] = []
        self._is_prompt = is_prompt
        self._capacity = capacity
        self._ends: dict[str, int] = {}

    def create_batch(self) -> Batch:
        """Begin a batch."""
        return Batch(self._capacity)

    async def send_batch(self, batch: Batch, topic: str, *, partition: int) -> asyncio.Future[Place]:
        """Put a batch under way."""
        offset = self._ends.get(topic, 0)
        self._ends[topic] = offset + len(batch.records)
        sent = Sent(topic, partition, batch.records, asyncio.get_running_loop().create_future(), offset)
        self.sent.append(sent)
        if self._is_prompt:
            sent.land()
        return sent.future

    def to(self, topic: str) -> list[Sent]:
        """What was sent to a topic."""
        return [sent for sent in self.sent if sent.topic == topic]


async def turns(count: int = 20) -> None:
    """Let the other tasks run until they wait for something."""
    for _ in range(count):
        await asyncio.sleep(0)
