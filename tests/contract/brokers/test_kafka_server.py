"""Kafka from its jars keeps what it was given, through kill -9 and in a cluster."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from clv.errors import BrokerError
from clv.settings import Settings
from clv.topics import ORDERS
from streams.clients import aiokafka_settings
from streams.kafka_server import KafkaServer
from streams.topics import ensure_topics, topic_ids

if TYPE_CHECKING:
    from pathlib import Path


def test_missing_jars_say_how_to_get_them(tmp_path: Path) -> None:
    """Without jars the error's hint names the make target."""
    with pytest.raises(BrokerError) as caught:
        KafkaServer(tmp_path / "server", tmp_path).start()

    assert "make kafka" in caught.value.hint


@pytest.mark.kafka
@pytest.mark.slow
def test_a_cluster_survives_the_death_of_a_broker(kafka_cluster: KafkaServer) -> None:
    """With three brokers, one killed with SIGKILL costs nothing: topics, records and transactions go on."""
    settings = Settings(broker=kafka_cluster.bootstrap, replication=3, partitions=2)
    before = asyncio.run(ensure_topics(settings))
    asyncio.run(_commit(settings, b"before"))

    kafka_cluster.kill(0)
    assert kafka_cluster.is_running(0) is False
    asyncio.run(_commit(settings, b"while"))
    kafka_cluster.start(0)

    assert kafka_cluster.is_running(0) is True
    assert asyncio.run(topic_ids(settings)) == before
    assert asyncio.run(_read(settings, count=2)) == [b"before", b"while"]


async def _commit(settings: Settings, value: bytes) -> None:
    clients = aiokafka_settings(settings)
    async with AIOKafkaProducer(**clients, transactional_id="test") as producer, producer.transaction():
        await producer.send_and_wait(ORDERS, value, partition=0)


async def _read(settings: Settings, *, count: int) -> list[bytes]:
    clients = aiokafka_settings(settings)
    options = {"auto_offset_reset": "earliest", "isolation_level": "read_committed"}
    async with AIOKafkaConsumer(ORDERS, **clients, **options) as consumer:
        return [(await consumer.getone()).value for _ in range(count)]
