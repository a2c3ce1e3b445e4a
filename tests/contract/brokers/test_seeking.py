"""What was fetched and thrown away is fetched again, whether anything of its partition was committed or not."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from faust.types import TP

from clv.settings import Settings
from clv.topics import ORDERS
from streams.broker import EmbeddedBroker
from streams.clients import aiokafka_settings
from streams.fencing import Member
from streams.topics import ensure_topics
from streams.transport import Consumer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

pytestmark = pytest.mark.embedded

PLACE = TP(ORDERS, 0)
RECORDS = 5


class SeekingConsumer(Consumer):
    """Our driver's consumer as far as seeking goes, on a client of the test's own thread."""

    def __init__(self, client: AIOKafkaConsumer) -> None:
        self._client = client
        self._begun_at = {PLACE: 0}
        self._moves = 0
        self._read_offset: dict[TP, int | None] = {}
        self._committed_offset: dict[TP, int | None] = {}
        self.is_flowing = True

    def stop_flow(self) -> None:
        """Note it."""
        self.is_flowing = False

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Ask the client."""
        return {TP(*place): at for place, at in (await self._client.seek_to_committed()).items()}

    async def _seek(self, partition: TP, offset: int) -> None:
        """Ask the client."""
        self._client.seek(TopicPartition(*partition), offset)

    def _is_changelog_tp(self, tp: TP) -> bool:
        return bool(tp.topic != ORDERS)


@pytest.mark.parametrize("committed", [0, 2])
def test_records_dropped_before_a_seek_come_again(tmp_path: Path, committed: int) -> None:
    """After ``perform_seek`` reading begins at the committed offset, and without one at the partition's beginning."""
    with EmbeddedBroker(tmp_path):
        found = asyncio.run(_offsets_after_a_seek(Settings(data_dir=tmp_path, partitions=1), committed))
    assert found == list(range(committed, RECORDS))


def test_a_partition_taken_away_meanwhile_is_no_failure(tmp_path: Path) -> None:
    """Between the look at the assignment and the seek a rebalance may come: the worker must live on."""

    class Losing(SeekingConsumer):
        """Has lost its partition by the time that it seeks to its beginning."""

        async def seek_to_committed(self) -> Mapping[TP, int]:
            """Lose it after the look."""
            found = await super().seek_to_committed()
            self._client.assign([])
            return found

    async def lose(settings: Settings) -> None:
        await ensure_topics(settings)
        client = AIOKafkaConsumer(group_id=settings.group, enable_auto_commit=False, **aiokafka_settings(settings))
        client.assign([TopicPartition(*PLACE)])
        async with client:
            await Losing(client).perform_seek()

    with EmbeddedBroker(tmp_path):
        asyncio.run(lose(Settings(data_dir=tmp_path, partitions=1)))


def test_with_nothing_assigned_there_is_nothing_to_seek(tmp_path: Path) -> None:
    """In the middle of a rebalance, or before the first, the group has given nothing: the worker must live on."""

    async def seek(settings: Settings) -> Mapping[TopicPartition, int | None]:
        await ensure_topics(settings)
        async with Member(group_id=settings.group, **aiokafka_settings(settings)) as client:
            found: Mapping[TopicPartition, int | None] = await client.seek_to_committed()
            return found

    with EmbeddedBroker(tmp_path):
        assert asyncio.run(seek(Settings(data_dir=tmp_path, partitions=1))) == {}


async def _offsets_after_a_seek(settings: Settings, committed: int) -> list[int]:
    await ensure_topics(settings)
    async with AIOKafkaProducer(**aiokafka_settings(settings)) as producer:
        for number in range(RECORDS):
            await producer.send_and_wait(ORDERS, str(number).encode(), partition=0)
    client = AIOKafkaConsumer(
        group_id=settings.group, enable_auto_commit=False, auto_offset_reset="earliest", **aiokafka_settings(settings)
    )
    client.assign([TopicPartition(*PLACE)])
    async with client:
        await _read(client, RECORDS)
        if committed:
            await client.commit({TopicPartition(*PLACE): committed})
        consumer = SeekingConsumer(client)
        await consumer.perform_seek()
        assert not consumer.is_flowing
        return await _read(client, RECORDS - committed)


async def _read(client: AIOKafkaConsumer, count: int) -> list[int]:
    """Return the offsets of the next records, fewer where they do not come."""
    found: list[int] = []
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(10):
            while len(found) < count:
                found.append((await client.getone()).offset)
    return found
