"""Where partitions end, on brokers that really run: recovery and lag lean on it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition

from clv.settings import Settings
from clv.topics import ORDERS
from streams.broker import EmbeddedBroker
from streams.clients import aiokafka_settings
from streams.delivery import KafkaRecord, send_records
from streams.ends import end_offsets
from streams.topics import ensure_topics

if TYPE_CHECKING:
    from pathlib import Path


async def _ends_after_a_batch(settings: Settings) -> list[int]:
    """Write one batch of 100 records, and one of 1 behind another of 100; return where the partitions end."""
    await ensure_topics(settings)
    records: list[KafkaRecord] = [(b"k", b"%d" % number, []) for number in range(100)]
    async with AIOKafkaProducer(acks="all", **aiokafka_settings(settings)) as producer:
        for partition, batches in ((0, [records]), (1, [records, records[:1]])):
            for batch in batches:
                for sent, _ in await send_records(producer, ORDERS, partition, batch):
                    await sent
    places = [TopicPartition(ORDERS, partition) for partition in (0, 1, 2)]
    found = await end_offsets(settings, places)
    return [found[place] for place in places]


@pytest.mark.embedded
def test_the_embedded_broker_s_ends_are_true(tmp_path: Path) -> None:
    """Whatever it reports itself, all of the last batch counts."""
    with EmbeddedBroker(tmp_path):
        assert asyncio.run(_ends_after_a_batch(Settings(data_dir=tmp_path))) == [100, 101, 0]


@pytest.mark.kafka
def test_kafka_s_ends_are_true(kafka_bootstrap: str, tmp_path: Path) -> None:
    """What it reports is so."""
    settings = Settings(broker=kafka_bootstrap, data_dir=tmp_path)
    assert asyncio.run(_ends_after_a_batch(settings)) == [100, 101, 0]
