"""Where partitions end: asked of the broker, and on the embedded one looked up.

The embedded broker answers with the offset of the last *batch*, one more than its first record's, so that all but
that record of it seem not to be there yet. Reading on from there tells the truth.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.broker import capabilities
from streams.clients import aiokafka_settings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from clv.settings import Settings

_PROBE_WAIT_MS = 20


async def end_offsets(settings: Settings, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
    """Return the offset after the last committed record of each partition.

    Raises
    ------
    KafkaError
        When the broker does not answer.
    """
    wanted = [TopicPartition(*partition) for partition in partitions]
    consumer = AIOKafkaConsumer(
        isolation_level="read_committed", fetch_max_wait_ms=_PROBE_WAIT_MS, **aiokafka_settings(settings)
    )
    await consumer.start()
    try:
        ends: dict[TopicPartition, int] = await consumer.end_offsets(wanted)
        if not capabilities(settings).has_true_ends:
            ends |= await _probed(consumer, {place: end for place, end in ends.items() if end})
        return ends
    finally:
        await consumer.stop()


async def _probed(consumer: AIOKafkaConsumer, claimed: dict[TopicPartition, int]) -> dict[TopicPartition, int]:
    if not claimed:
        return {}
    consumer.assign(list(claimed))
    for place, end in claimed.items():
        consumer.seek(place, end - 1)
    ends: dict[TopicPartition, int] = {}
    while True:
        # The record before the claimed end is there, so silence before it has come says nothing.
        found = await consumer.getmany(timeout_ms=4 * _PROBE_WAIT_MS)
        if not any(found.values()) and len(ends) == len(claimed):
            return ends
        for place, records in found.items():
            if records:
                ends[place] = max(ends.get(place, 0), records[-1].offset + 1)
