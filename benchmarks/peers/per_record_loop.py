"""A hand-written aiokafka loop: a ``send`` for each changelog and output record; offsets follow once all are there."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from benchmarks.peers.job import OUTPUT_TOPIC, Place, add, given_out, read, written

if TYPE_CHECKING:
    from collections.abc import Awaitable

COMMIT_SECONDS = 0.2


async def run(place: Place) -> None:
    """Consume until the process is ended."""
    consumer = AIOKafkaConsumer(
        place.topic,
        bootstrap_servers=place.broker,
        group_id=place.group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        max_poll_records=2_000,
        session_timeout_ms=6_000,
    )
    producer = AIOKafkaProducer(bootstrap_servers=place.broker, linger_ms=5, max_batch_size=262_144, acks="all")
    await consumer.start()
    await producer.start()
    held: dict[bytes, dict[str, Any]] = {}
    sent: list[Awaitable[Any]] = []
    committed = time.monotonic()
    while True:
        fetched = await consumer.getmany(timeout_ms=200)
        for partition, records in fetched.items():
            for record in records:
                order = read(record.value)
                totals = held[record.key] = add(held.get(record.key), order)
                number = partition.partition
                sent += [
                    await producer.send(f"{place.group}-changelog", written(totals), key=record.key, partition=number),
                    await producer.send(OUTPUT_TOPIC, given_out(order, totals), key=record.key, partition=number),
                ]
        if sent and time.monotonic() - committed > COMMIT_SECONDS:
            await asyncio.gather(*sent)
            sent.clear()
            await consumer.commit()
            committed = time.monotonic()


if __name__ == "__main__":
    uvloop.install()
    asyncio.run(run(Place.from_env()))
