"""Orders to measure with, put on a broker as fast as it takes them, and models for a worker to score them with."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.partitioner import DefaultPartitioner

from clv.features import FEATURE_DIGEST
from clv.outcomes import ModelAnnounced, event_id, rfc3339
from clv.published import ENSEMBLE_NAME, SCORER_NAME
from clv.topics import ORDERS
from storage.artifacts import Artifact, put_artifacts
from storage.engine import Database
from storage.schema import upgrade
from streams.admin import admin_client
from streams.clients import aiokafka_settings
from streams.delivery import MAX_BATCH_BYTES, KafkaRecord, send_records
from streams.topics import ensure_topics
from streams.trainer import announce

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from clv.settings import Settings
    from models.scorer import SnapshotScorer

_SECONDS_BETWEEN = 5
_CHUNK = 20_000
_CATEGORIES = ("books", "garden", "grocery", "home", "music", "toys")


def orders(
    count: int,
    customers: int,
    *,
    start_ms: int,
    seed: int = 1,
    prefix: str = "",
    seconds_between: float = _SECONDS_BETWEEN,
) -> Iterator[tuple[bytes, bytes]]:
    """Yield keys and values of orders by the contract, some 300 bytes each, evenly apart, customers at random."""
    draw = random.Random(seed)  # a load, no secret
    for number in range(count):
        customer = f"c{draw.randrange(customers):07d}"
        total = f"{draw.lognormvariate(3.5, 0.8):.2f}"
        event = {
            "type": "OrderPlaced",
            "event_id": f"{prefix}e{number:09d}",
            "order_id": f"{prefix}o{number:09d}",
            "customer_id": customer,
            "occurred_at": start_ms // 1000 + int(number * seconds_between),
            "schema_version": 1,
            "total": total,
            "currency": "USD",
            "items": [{"sku": "s1", "category": draw.choice(_CATEGORIES), "quantity": 1, "unit_price": total}],
        }
        yield customer.encode(), msgspec.json.encode(event)


def fill(
    settings: Settings, count: int, customers: int, *, start_ms: int, seconds_between: float = _SECONDS_BETWEEN
) -> None:
    """Create the topics and put orders on theirs, by the partitioner of every Kafka client."""
    load = orders(count, customers, start_ms=start_ms, seconds_between=seconds_between)
    asyncio.run(_fill(settings, load))


def publish(settings: Settings, scorer: SnapshotScorer) -> str:
    """Store the newest snapshot and its ensemble, and announce it; return its version."""
    snapshot, digest = scorer.snapshots[-1], store_models(settings, scorer)
    event = ModelAnnounced(
        event_id("model", SCORER_NAME, snapshot.version),
        SCORER_NAME,
        snapshot.version,
        digest,
        rfc3339(snapshot.learned_through_ms),
        FEATURE_DIGEST,
        {},
    )
    asyncio.run(_announce(settings, event))
    return snapshot.version


def store_models(settings: Settings, scorer: SnapshotScorer) -> str:
    """Store the newest snapshot and its ensemble; return the snapshot's digest."""
    snapshot = scorer.snapshots[-1]
    through_ms = snapshot.learned_through_ms
    artifacts = [Artifact(SCORER_NAME, snapshot.version, snapshot.to_bytes(), through_ms)]
    if digest := snapshot.ensemble_digest:
        blob = msgspec.msgpack.encode(scorer.ensemble_of(snapshot).artifact)
        artifacts.insert(0, Artifact(ENSEMBLE_NAME, digest[:12], blob, through_ms))
    upgrade(settings.sql_url)
    database = Database(settings.sql_url)
    try:
        digests = put_artifacts(database, artifacts)
    finally:
        database.close()
    return digests[-1]


def make_topics(settings: Settings, names: Iterable[str]) -> None:
    """Create topics for peers, as many partitions as the orders have; those that are there stay."""
    wanted = {
        name: {"num_partitions": settings.partitions, "replication_factor": settings.replication} for name in names
    }
    with admin_client(settings) as admin:
        admin.create_topics(wanted, raise_errors=False)
        admin.wait_for_topics(list(wanted))


async def _fill(settings: Settings, load: Iterable[tuple[bytes, bytes]]) -> None:
    await ensure_topics(settings)
    numbers = list(range(settings.partitions))
    partition_of = DefaultPartitioner()
    options = aiokafka_settings(settings)
    async with AIOKafkaProducer(acks="all", max_batch_size=MAX_BATCH_BYTES, **options) as producer:
        chunk: dict[int, list[KafkaRecord]] = {number: [] for number in numbers}
        for place, (key, value) in enumerate(load, start=1):
            chunk[partition_of(key, numbers, numbers)].append((key, value, []))
            if place % _CHUNK == 0:
                await _send(producer, chunk)
                chunk = {number: [] for number in numbers}
        await _send(producer, chunk)


async def _send(producer: AIOKafkaProducer, chunk: dict[int, list[KafkaRecord]]) -> None:
    for number, records in chunk.items():
        await asyncio.gather(*(sent for sent, _ in await send_records(producer, ORDERS, number, records)))


async def _announce(settings: Settings, event: ModelAnnounced) -> None:
    async with AIOKafkaProducer(acks="all", **aiokafka_settings(settings)) as producer:
        await announce(producer, [event])
