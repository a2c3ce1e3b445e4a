"""Sends the shop's records at a steady rate, by an idempotent producer that tries again until all is acknowledged."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import TYPE_CHECKING

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from benchmarks.chaos.shop import futures, poison, ticks
from clv.topics import ORDERS
from streams.clients import aiokafka_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.chaos.shop import Sent, Shop
    from clv.settings import Settings

log = structlog.get_logger(__name__)
_PIECES_A_SECOND = 10
_BURST_DAYS = 2
_BURST_PIECE = 500


class Feeder:
    """Feeds day after day until told to stop, then ends its day and sends a Tick.

    Parameters
    ----------
    settings
        Name the broker, not by way of the proxy: the input must not suffer.
    rate
        Records a second.
    """

    def __init__(self, settings: Settings, shop: Shop, *, rate: int) -> None:
        self._settings = settings
        self._shop = shop
        self._piece = max(rate // _PIECES_A_SECOND, 1)
        self._extra: deque[Sent] = deque()
        self._others: deque[tuple[str, bytes]] = deque()
        self._is_stopping = False
        self._strange = 0
        self._burst_until = 0
        self._producer: AIOKafkaProducer | None = None
        self.days = 0
        self.sent = 0
        self.is_done = False

    def add_poison(self) -> None:
        """Put poison among the records."""
        self._strange += 1
        self._extra += poison(self._strange)

    def add_futures(self) -> None:
        """Put orders from a producer whose clock is wrong among the records."""
        self._strange += 1
        self._extra += futures(self._strange, self.days)

    def add_record(self, topic: str, value: bytes) -> None:
        """Put a record onto another topic, soon."""
        self._others.append((topic, value))

    def burst(self) -> None:
        """Send the next days as fast as the broker takes them: whoever reads has more to do than it can at once."""
        self._burst_until = self.days + _BURST_DAYS

    def stop(self) -> None:
        """Have it end with the day that it is in."""
        self._is_stopping = True

    async def run(self) -> None:
        """Feed until told to stop."""
        while not self._is_stopping:
            await self._feed(self._shop.day(self.days))
            self.days += 1
        await self._send([*self._extra, *ticks(self._settings.partitions, self.days)])
        await self._close()
        self.is_done = True

    async def _feed(self, records: list[Sent]) -> None:
        while records:
            is_hurried = self._is_stopping or self.days < self._burst_until
            size = _BURST_PIECE if is_hurried else self._piece
            extra = [self._extra.popleft() for _ in range(min(len(self._extra), size))]
            await self._send([*records[:size], *extra])
            records = records[size:]
            if not is_hurried:
                await asyncio.sleep(1 / _PIECES_A_SECOND)

    async def _send(self, records: Sequence[Sent]) -> None:
        """Send a piece; on a failure all of it again, which the scorer must take for duplicates."""
        while True:
            try:
                async with asyncio.timeout(30):
                    producer = await self._open()
                    sent = [await producer.send(ORDERS, r.value, r.key, r.partition) for r in records]
                    while self._others:
                        sent.append(await producer.send(*self._others.popleft()))
                    await asyncio.gather(*sent)
            except (KafkaError, TimeoutError) as problem:
                log.debug("feeding again", problem=repr(problem))
                await self._close()
                await asyncio.sleep(0.5)
            else:
                self.sent += len(records)
                return

    async def _open(self) -> AIOKafkaProducer:
        if self._producer is None:
            self._producer = AIOKafkaProducer(acks="all", **aiokafka_settings(self._settings))
            await self._producer.start()
        return self._producer

    async def _close(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            with contextlib.suppress(KafkaError, TimeoutError):
                await asyncio.wait_for(producer.stop(), 5)
