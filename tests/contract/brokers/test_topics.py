"""Topics on every broker that we run on: made once, checked, identified."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from clv.errors import BrokerError, ConfigError
from clv.settings import Settings
from clv.topics import ORDERS, SCORES
from streams.admin import admin_client, group_lag
from streams.clients import aiokafka_settings
from streams.topics import ensure_topics, specs, topic_ids, topic_problems
from tests.kafka_topics import delete_topics

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(
    params=[
        pytest.param("embedded_broker", marks=pytest.mark.embedded),
        pytest.param("kafka_bootstrap", marks=pytest.mark.kafka),
    ]
)
def settings(request: pytest.FixtureRequest) -> Iterator[Settings]:
    """Settings of a deployment on an empty broker of each kind; its topics are deleted afterwards."""
    deployment = Settings(broker=request.getfixturevalue(request.param), partitions=3)
    yield deployment
    delete_topics(deployment, prefix="clv")


def test_topics_are_made_once_whoever_asks(settings: Settings) -> None:
    """Four roles that start at once get the same ids, and so does one that starts later."""

    async def start_roles() -> list[dict[str, str]]:
        return await asyncio.gather(*(ensure_topics(settings) for _ in range(4)))

    found = asyncio.run(start_roles())

    assert sorted(found[0]) == sorted(spec.name for spec in specs(settings))
    assert len(set(found[0].values())) == len(found[0])
    assert found[1:] == [found[0]] * 3
    assert asyncio.run(topic_ids(settings)) == found[0]
    assert asyncio.run(topic_problems(settings)) == []


def test_a_recreated_topic_has_another_id(settings: Settings) -> None:
    """Deleting a topic and making it again changes its id and no other's."""
    before = asyncio.run(ensure_topics(settings))
    delete_topics(settings, prefix=SCORES)
    assert SCORES not in asyncio.run(topic_ids(settings))

    after = asyncio.run(ensure_topics(settings))

    assert {name for name in after if after[name] != before[name]} == {SCORES}


def test_another_partition_count_is_refused(settings: Settings) -> None:
    """A topic with the wrong partition count stops the start; the error says what it has, needs, and how to mend it."""
    asyncio.run(ensure_topics(settings))

    with pytest.raises(ConfigError) as caught:
        asyncio.run(ensure_topics(dataclasses.replace(settings, partitions=4)))

    assert str(caught.value) == "topic clv.orders.v1 has 3 partitions, needs 4 (CLV_PARTITIONS)"
    assert "CLV_PARTITIONS=3" in caught.value.hint


def test_missing_topics_and_other_policies_are_problems(settings: Settings) -> None:
    """A topic made by hand with another policy is reported with the policy; absent ones as absent."""
    with admin_client(settings) as admin:
        made = {"num_partitions": 3, "replication_factor": 1, "configs": {"cleanup.policy": "compact"}}
        admin.create_topics({ORDERS: made}, wait_for_metadata=True)

    found = asyncio.run(topic_problems(settings))

    assert "cleanup.policy=compact" in {problem.found for problem in found if problem.topic == ORDERS}
    assert not any(problem.is_fatal for problem in found if problem.topic == ORDERS)
    assert {problem.topic for problem in found if problem.is_missing} == {
        spec.name for spec in specs(settings) if spec.name != ORDERS
    }


def test_lag_counts_what_a_group_has_not_read(settings: Settings) -> None:
    """Lag is the end of each partition less what the group committed; a group that never committed lags by all."""

    async def write_and_read() -> None:
        await ensure_topics(settings)
        clients = aiokafka_settings(settings)
        async with AIOKafkaProducer(**clients, acks="all") as producer:
            for partition in (0, 1, 1):
                await producer.send_and_wait(ORDERS, b"{}", key=b"c", partition=partition)
        group = {"group_id": "readers", "auto_offset_reset": "earliest", "enable_auto_commit": False}
        async with AIOKafkaConsumer(ORDERS, **clients, **group, session_timeout_ms=6000) as consumer:
            await consumer.getone()
            await consumer.getone()
            await consumer.getone()
            await consumer.commit()
        async with AIOKafkaProducer(**clients, acks="all") as producer:
            await producer.send_and_wait(ORDERS, b"{}", key=b"c", partition=2)

    asyncio.run(write_and_read())

    assert group_lag(settings, group="readers", topic=ORDERS) == {0: 0, 1: 0, 2: 1}
    assert group_lag(settings, group="nobody", topic=ORDERS) == {0: 1, 1: 2, 2: 1}


@pytest.mark.kafka
def test_more_replicas_than_brokers_are_refused(kafka_bootstrap: str) -> None:
    """A replication factor that the cluster cannot hold names its setting."""
    settings = Settings(broker=kafka_bootstrap, replication=3)

    with pytest.raises(ConfigError) as caught:
        asyncio.run(ensure_topics(settings))

    assert "CLV_REPLICATION" in caught.value.hint


def test_an_absent_broker_is_said() -> None:
    """Where nobody listens, the error names the address and asks the right question."""
    with pytest.raises(BrokerError, match=r"no broker answers at 127\.0\.0\.1:1") as caught:
        asyncio.run(ensure_topics(Settings(broker="127.0.0.1:1")))

    assert "CLV_BROKER" in caught.value.hint
