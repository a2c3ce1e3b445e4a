"""Reading partitions from their beginning to where they end now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiokafka import AIOKafkaConsumer

from streams.clients import aiokafka_settings
from streams.ends import end_offsets

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

    from aiokafka import ConsumerRecord, TopicPartition

    from clv.settings import Settings


async def scan(
    settings: Settings, places: Iterable[TopicPartition]
) -> AsyncIterator[tuple[TopicPartition, Sequence[ConsumerRecord]]]:
    """Yield all that partitions hold now, partition by partition in pieces, in the order of offsets within each.

    Raises
    ------
    KafkaError
        When the broker does not answer.
    """
    consumer = AIOKafkaConsumer(enable_auto_commit=False, **aiokafka_settings(settings))
    await consumer.start()
    try:
        ends = {place: end for place, end in (await end_offsets(settings, places)).items() if end}
        consumer.assign(list(ends))
        await consumer.seek_to_beginning()
        while ends:
            for place, records in (await consumer.getmany(timeout_ms=200, max_records=5_000)).items():
                yield place, records
            ends = {place: end for place, end in ends.items() if await consumer.position(place) < end}
    finally:
        await consumer.stop()
