"""The publisher and the progress reader on the embedded broker."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.partitioner.default import murmur2

from clv.errors import BrokerError
from clv.events import OrderPlaced, decode_event
from clv.outcomes import ModelAnnounced, WatermarkPassed
from clv.settings import Settings
from clv.topics import MODELS, ORDERS, TRAINING_EXAMPLES
from producers.encode import tick_event
from producers.pace import Progress
from producers.progress import TopicProgress
from producers.publisher import KafkaPublisher
from streams.topics import ensure_topics

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.embedded

AT = 1_704_067_200_000  # 2024-01-01
ORDERS_SENT = [OrderPlaced(f"e{n}", f"c{n % 17}", AT + n, f"o{n}", n) for n in range(500)]


@pytest.fixture
def settings(embedded_broker: str, tmp_path: Path) -> Settings:
    """A deployment on the embedded broker, its topics made."""
    found = Settings(broker=embedded_broker, data_dir=tmp_path, partitions=3)
    asyncio.run(ensure_topics(found))
    return found


def _records(settings: Settings, partition: int) -> list[tuple[bytes | None, bytes]]:
    where = TopicPartition(ORDERS, partition)
    consumer = KafkaConsumer(bootstrap_servers=settings.broker, group_id=None, auto_offset_reset="earliest")
    consumer.assign([where])
    end = consumer.end_offsets([where])[where]
    found: list[tuple[bytes | None, bytes]] = []
    while len(found) < end:
        found += [(r.key, r.value) for batch in consumer.poll(timeout_ms=500).values() for r in batch]
    consumer.close()
    return found


def test_everything_arrives_keyed_in_order_with_a_tick_on_every_partition(settings: Settings) -> None:
    """Each customer's events lie on the partition of murmur2 of the key, in order; each ends with its Tick."""
    with KafkaPublisher(settings, currency="USD") as publisher:
        for event in ORDERS_SENT:
            publisher.send(event)
        publisher.tick(AT + 1_000)
        publisher.flush()
    for partition in range(3):
        *events, last = [decode_event(v, k, currency="USD", digits=2) for k, v in _records(settings, partition)]
        assert events == [
            event for event in ORDERS_SENT if (murmur2(event.customer_id.encode()) & 0x7FFFFFFF) % 3 == partition
        ]
        assert last == tick_event(partition, AT + 1_000)


def test_progress_is_followed_from_now_on(settings: Settings) -> None:
    """What was on the topics before does not count; what comes then does."""
    producer = KafkaProducer(bootstrap_servers=settings.broker)

    def announce(second: int) -> None:
        at = f"2024-01-01T00:00:0{second}Z"
        passed = WatermarkPassed(f"w{second}", 2, at, "i", 7, {})
        model = ModelAnnounced(f"m{second}", "scorer", "v", "d", at, "f", {})
        producer.send(TRAINING_EXAMPLES, msgspec.json.encode(passed), partition=2)
        producer.send(MODELS, msgspec.json.encode(model), key=b"scorer")
        producer.flush()

    announce(1)
    found: set[Progress] = set()
    with TopicProgress(settings) as progress:
        assert progress.partitions == 3
        announce(2)
        while len(found) < 2:
            found |= set(progress.poll(1.0))
    producer.close()
    assert found == {Progress("worker", AT + 2_000, 2), Progress("scorer", AT + 2_000)}


def test_a_broker_that_is_not_there_is_a_broker_error(unused_address: str) -> None:
    """The address is in the message."""
    with pytest.raises(BrokerError, match=unused_address):
        KafkaPublisher(Settings(broker=unused_address), currency="USD")


@pytest.fixture
def unused_address() -> str:
    """An address where nothing listens."""
    return "127.0.0.1:1"
