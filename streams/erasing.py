"""Erasures on their way through topics, worker and sink, and where topics still name a customer."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

from aiokafka import AIOKafkaProducer, TopicPartition

from clv.topics import ORDERS, changelog_topic
from storage.sinking import load_positions
from streams.admin import group_lag
from streams.clients import aiokafka_settings
from streams.ends import end_offsets
from streams.scanning import scan
from streams.sink_batches import KEYED_OUTPUT_TOPICS
from streams.topics import orders_group, partition_count, specs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from clv.settings import Settings
    from storage.engine import Database

Ends = dict[TopicPartition, int]


async def send_events(settings: Settings, events: Sequence[tuple[bytes, bytes]]) -> Ends:
    """Send keys and values to the orders topic; return the end of each partition that one lies in, behind it.

    Raises
    ------
    KafkaError
        When the broker does not acknowledge one; those before it may lie there, and sending all again does no harm.
    """
    producer = AIOKafkaProducer(acks="all", **aiokafka_settings(settings))
    await producer.start()
    ends: Ends = {}
    try:
        for key, value in events:
            place = await producer.send_and_wait(ORDERS, value, key=key)
            ends[TopicPartition(ORDERS, place.partition)] = place.offset + 1
    finally:
        await producer.stop()
    return ends


async def outputs_behind(settings: Settings, ends: Mapping[TopicPartition, int], orders_id: str) -> Ends | None:
    """Return what SQL must have read before all that came of these orders is in it; None until it was given out.

    ``orders_id`` is the id of the orders topic, whose workers are asked.
    """
    now = await end_offsets(settings, ends)
    # Ends first: what comes in between makes the lag larger, and what was read seem less.
    lags = await asyncio.to_thread(group_lag, settings, group=orders_group(settings, orders_id), topic=ORDERS)
    if any(now[place] - lags[place.partition] < end for place, end in ends.items()):
        return None
    numbers = [place.partition for place in ends]
    topics = (*KEYED_OUTPUT_TOPICS, changelog_topic(settings.group))
    return await end_offsets(settings, [TopicPartition(topic, number) for topic in topics for number in numbers])


def is_stored(database: Database, ends: Mapping[TopicPartition, int]) -> bool:
    """Tell whether SQL has read these topics up to these ends.

    Raises
    ------
    StoreUnavailable
        When a retry may help.
    """
    positions = load_positions(database, {place.topic for place in ends})
    reached = {place: position.next_offset for place, position in positions.items()}
    return all(reached.get((place.topic, place.partition), 0) >= end for place, end in ends.items())


async def find_mentions(
    settings: Settings, names: Callable[[bytes, bytes], bool], observe: Callable[[int], None] = lambda _: None
) -> Counter[str]:
    """Read every topic of the deployment from its beginning and count the records that name a customer, by topic.

    Parameters
    ----------
    names
        Tells by a record's key and value, empty where it has none, whether it does.
    observe
        Told how many records more have been read.

    Raises
    ------
    KafkaError
        When the broker does not answer.
    """
    found: Counter[str] = Counter()
    places = [TopicPartition(spec.name, n) for spec in specs(settings) for n in range(partition_count(spec, settings))]
    async for place, records in scan(settings, places):
        found[place.topic] += sum(names(each.key or b"", each.value or b"") for each in records)
        observe(len(records))
    return +found
