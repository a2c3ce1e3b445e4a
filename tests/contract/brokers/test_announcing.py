"""What the command and the trainer write to brokers that really run: announcements, and records sent again."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from cli.letters import Letter
from clv import topics
from clv.errors import InputError
from clv.outcomes import ModelAnnounced
from clv.rules import DAY_MS
from clv.settings import Settings
from storage.learning import read_metrics
from storage.letters import LetterPlace, get_letter, list_letters, pending_replays, request_replay
from storage.sinking import write_batch
from streams.clients import aiokafka_settings
from streams.ends import end_offsets
from streams.letters import LOOK_SECONDS, fulfil_wishes, resend
from streams.retraining import announce_now, retrain
from streams.topics import ensure_topics
from streams.trainer import run_trainer
from tests.contract.storage.outputs import OutputTopics
from tests.unit.streams.shop import PARTITIONS, open_database, shop, store

if TYPE_CHECKING:
    from pathlib import Path

    from storage.engine import Database

_PATIENCE_SECONDS = 60
_LETTER = Letter(topics.ORDERS, "t", 1, 7, b"c\xff", b"\xff\x00 raw", "undecodable", "")


@pytest.fixture(
    params=[
        pytest.param("embedded_broker", marks=(pytest.mark.embedded, pytest.mark.slow), id="embedded"),
        pytest.param("kafka_bootstrap", marks=pytest.mark.kafka, id="kafka"),
    ]
)
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings of a deployment on each broker, with SQLite."""
    return Settings(broker=str(request.getfixturevalue(request.param)), data_dir=tmp_path, partitions=PARTITIONS)


async def _read(settings: Settings, topic: str, partition: int, count: int) -> list[tuple[bytes | None, bytes | None]]:
    place = TopicPartition(topic, partition)
    async with AIOKafkaConsumer(auto_offset_reset="earliest", **aiokafka_settings(settings)) as consumer:
        consumer.assign([place])
        await consumer.seek_to_end(place)
        end = await consumer.position(place)
        consumer.seek(place, max(end - count, 0))
        async with asyncio.timeout(_PATIENCE_SECONDS):
            return [((record := await consumer.getone()).key, record.value) for _ in range(min(count, end))]


def test_a_dead_letter_is_sent_again_as_it_was(settings: Settings) -> None:
    """Same partition, same key, same bytes, a missing value too; only records from outside are taken."""
    letters = [_LETTER, _LETTER._replace(value=None), _LETTER._replace(value=b"x" * 1_048_000)]
    assert asyncio.run(resend(settings, letters)) == 3
    assert asyncio.run(_read(settings, topics.ORDERS, 1, 3)) == [(letter.key, letter.value) for letter in letters]
    with pytest.raises(InputError, match="not an order"):
        asyncio.run(resend(settings, [_LETTER._replace(topic=topics.SCORES)]))


def test_the_trainer_learns_from_the_topic_beside_a_training_on_demand(settings: Settings) -> None:
    """Both announce; what the role learns comes from the topic, and nothing twice."""
    database = open_database(settings.data_dir)
    store(database, shop(150))
    result = retrain(settings, database)
    assert announce_now(settings, result.events) == ""
    announced = asyncio.run(_read(settings, topics.MODELS, 0, 1))
    assert announced[0][0] == b"scorer"
    assert msgspec.json.decode(announced[0][1] or b"", type=ModelAnnounced).version == result.version
    asyncio.run(_run_trainer(settings, database))
    # The training on demand had learned the first 149 days, the role passes over those in the topic.
    later = [one for one in shop(200).examples() if one.matured_at < "2024-07-18T00:00:00Z"]
    assert read_metrics(database)["clv"].figures["count"] == len(later)
    database.close()


async def _run_trainer(settings: Settings, database: Database) -> None:
    await ensure_topics(settings)
    async with AIOKafkaProducer(acks="all", **aiokafka_settings(settings)) as producer:
        for partition in range(PARTITIONS):
            for event in shop(200).topic(partition):
                await producer.send(topics.TRAINING_EXAMPLES, msgspec.json.encode(event), partition=partition)
        await producer.flush()
    store(database, shop(200))
    stop = asyncio.Event()
    role = asyncio.create_task(run_trainer(settings, stop))
    begun_ms = read_metrics(database)["clv"].as_of_ms
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while not role.done() and read_metrics(database)["clv"].as_of_ms < begun_ms + 50 * DAY_MS:  # noqa: ASYNC110  # a database tells nobody
            await asyncio.sleep(0.05)
    stop.set()
    await role


def test_a_wish_in_sql_is_fulfilled_once(settings: Settings, tmp_path: Path) -> None:
    """What somebody asked for is sent with its bytes and key to where it lay, noted, and not sent again."""
    database = open_database(tmp_path)
    outputs = OutputTopics()
    outputs.dead_letter(7)
    outputs.dead_letter(8, key=None)
    write_batch(database, outputs.batch())
    for row in list_letters(database, limit=10):
        request_replay(database, LetterPlace(*(row[name] for name in LetterPlace._fields)), "tests")

    sent = asyncio.run(_fulfilled(settings, database))

    assert sent == [(None, b"\xff\x00 raw"), (b"c1", b"\xff\x00 raw")]  # in the order of the wishes
    letter = get_letter(database, topics.ORDERS, 0, 7)
    assert letter is not None
    assert letter["sent_ms"] > 0
    database.close()


async def _fulfilled(settings: Settings, database: Database) -> list[tuple[bytes | None, bytes | None]]:
    """Run the sink's task until no wish is left; return what it has sent to the first partition."""
    await ensure_topics(settings)
    ends = await end_offsets(settings, [TopicPartition(topics.ORDERS, 0)])
    task = asyncio.create_task(fulfil_wishes(settings, database))
    for _ in range(_PATIENCE_SECONDS):
        await asyncio.wait([task], timeout=LOOK_SECONDS + 0.5)
        if task.done() or not pending_replays(database, limit=1):
            break
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    after = await end_offsets(settings, [TopicPartition(topics.ORDERS, 0)])
    return await _read(settings, topics.ORDERS, 0, sum(after.values()) - sum(ends.values()))
