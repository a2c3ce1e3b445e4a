"""From an order that is sent to a score that a consumer has: at fixed rates, as the orders become due."""

from __future__ import annotations

import asyncio
import os
import time
from itertools import count
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from benchmarks.load import orders
from benchmarks.peers.job import OUTPUT_TOPIC
from benchmarks.subjects import OURS, started
from clv.errors import BrokerError
from clv.topics import ORDERS, SCORES
from streams.clients import aiokafka_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from benchmarks.subjects import Subject
    from clv.settings import Settings

TARGETS_MS = {"p50": 10.0, "p99": 50.0}
WARM_SECONDS = 3.0
"""Of each rate that do not count."""
_START_SECONDS = 60.0
_LAST_SECONDS = 5.0
_PERCENTILES = {"p50_ms": 50, "p95_ms": 95, "p99_ms": 99, "max_ms": 100}
_CUSTOMERS = 20_000


class _Answer(msgspec.Struct):
    """What is read of an answer: ours names its cause, a peer's the order's event."""

    cause: str = ""
    event_id: str = ""


_read = msgspec.json.Decoder(_Answer).decode


def measure_latency(
    settings: Settings,
    *,
    rates: Sequence[int],
    seconds: float,
    peers: Sequence[str],
    start_ms: int,
    observe: Callable[[str], None] = lambda _name: None,
) -> dict[str, Any]:
    """Send orders at each rate to ours and to peers in turns; return percentiles of the wait in milliseconds.

    An order counts from when it was due to be sent, so that one which waits for others shows. Producer and consumer
    are in this process and share the machine's cores with the broker and the subject.

    Raises
    ------
    BrokerError
        When a subject does not begin, ends, or an order is not answered.
    """
    load = orders(2**40, _CUSTOMERS, start_ms=start_ms, prefix="timed-")
    found: dict[str, dict[str, dict[str, float]]] = {}
    for name in (OURS, *peers):
        group = f"latency-{name.replace('_', '-')}-{os.getpid()}"
        with started(settings, name, group) as subject:
            found[name] = asyncio.run(_at_rates(settings, subject, load, rates, seconds, observe))
    return {
        "rates": {str(rate): {name: figures[str(rate)] for name, figures in found.items()} for rate in rates},
        "seconds": seconds,
        "read": "uncommitted",
        "target_ms": TARGETS_MS,
    }


async def _at_rates(
    settings: Settings,
    subject: Subject,
    load: Iterator[tuple[bytes, bytes]],
    rates: Sequence[int],
    seconds: float,
    observe: Callable[[str], None],
) -> dict[str, dict[str, float]]:
    options = aiokafka_settings(settings)
    topic = SCORES if subject.name == OURS else OUTPUT_TOPIC
    consumer = AIOKafkaConsumer(topic, auto_offset_reset="latest", enable_auto_commit=False, **options)
    async with AIOKafkaProducer(acks="all", linger_ms=0, **options) as producer, consumer:
        await consumer.seek_to_end()
        stopwatch = _Stopwatch(consumer)
        reading = asyncio.create_task(stopwatch.run())
        try:
            await _begin(producer, subject, stopwatch, load)
            results = {}
            for rate in rates:
                await _send(producer, stopwatch, load, rate, WARM_SECONDS)
                waited = await _send(producer, stopwatch, load, rate, seconds)
                results[str(rate)] = {
                    name: round(float(np.percentile(waited, q)) * 1_000, 2) for name, q in _PERCENTILES.items()
                }
                observe(f"{subject.name} at {rate}/s")
            return results
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


class _Stopwatch:
    """Notes when each order's answer came."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer
        self.seen: dict[str, float] = {}

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            fetched = await self._consumer.getmany(timeout_ms=1_000)
            now = time.perf_counter()
            for records in fetched.values():
                for record in records:
                    if record.value is not None:
                        answer = _read(record.value)
                        self.seen.setdefault(answer.cause or answer.event_id, now)


async def _begin(
    producer: AIOKafkaProducer, subject: Subject, stopwatch: _Stopwatch, load: Iterator[tuple[bytes, bytes]]
) -> None:
    """Send an order a second until one of them is answered."""
    sent: set[str] = set()
    for waited in count():
        subject.check()
        if sent & stopwatch.seen.keys():
            return
        if waited > _START_SECONDS:
            raise BrokerError(f"{subject.name} has answered nothing within {_START_SECONDS:.0f} seconds")
        key, value = next(load)
        await producer.send_and_wait(ORDERS, value, key=key)
        sent.add(_read(value).event_id)
        await asyncio.sleep(1.0)


async def _send(
    producer: AIOKafkaProducer,
    stopwatch: _Stopwatch,
    load: Iterator[tuple[bytes, bytes]],
    rate: int,
    seconds: float,
) -> list[float]:
    """Send orders as they become due; return how long each waited for its answer, in seconds."""
    due: dict[str, float] = {}
    begun = time.perf_counter()
    for number in range(round(rate * seconds)):
        at = begun + number / rate
        if (left := at - time.perf_counter()) > 0:
            await asyncio.sleep(left)
        key, value = next(load)
        due[_read(value).event_id] = at
        await producer.send(ORDERS, value, key=key)
    deadline = time.perf_counter() + _LAST_SECONDS
    while missing := due.keys() - stopwatch.seen.keys():
        if time.perf_counter() > deadline:
            raise BrokerError(f"{len(missing)} of {len(due)} orders were not answered within {_LAST_SECONDS:.0f} s")
        await asyncio.sleep(0.05)
    return [stopwatch.seen[name] - at for name, at in due.items()]
