"""Filling an empty broker from SQL: the embedded broker forgets on exit, the user must not.

The sink keeps every row of the customers table; here they go back onto the changelog, from which workers recover.
Rows say in which life of the orders topic they were written, so positions in the old one count for nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from aiokafka import AIOKafkaProducer, TopicPartition

from clv.topics import changelog_topic
from storage.states import count_states, iter_states
from streams.clients import aiokafka_settings
from streams.delivery import MAX_BATCH_BYTES, KafkaRecord, send_records
from streams.ends import end_offsets

if TYPE_CHECKING:
    from clv.settings import Settings
    from storage.engine import Database

log = structlog.get_logger(__name__)


async def refill(settings: Settings, database: Database) -> int:
    """Write the stored rows onto an empty changelog; return how many, 0 where the changelog holds any already.

    Raises
    ------
    StoreUnavailable
        When a retry may help; what was written stays, and writing it again is harmless.
    """
    changelog = changelog_topic(settings.group)
    if not count_states(database) or await _has_records(settings, changelog):
        return 0
    producer = AIOKafkaProducer(acks="all", max_batch_size=MAX_BATCH_BYTES, **aiokafka_settings(settings))
    await producer.start()
    count = 0
    try:
        for rows in iter_states(database):
            for partition in sorted({place for place, _, _ in rows}):
                records: list[KafkaRecord] = [(key, row, []) for place, key, row in rows if place == partition]
                for future, _ in await send_records(producer, changelog, partition, records):
                    await future
            count += len(rows)
    finally:
        await producer.stop()
    log.info("broker filled from the database", rows=count)
    return count


async def _has_records(settings: Settings, topic: str) -> bool:
    ends = await end_offsets(settings, [TopicPartition(topic, p) for p in range(settings.partitions)])
    return any(ends.values())
