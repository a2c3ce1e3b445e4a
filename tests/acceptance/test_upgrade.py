"""Today's build on what a released version left behind."""

from __future__ import annotations

import asyncio
from itertools import groupby
from typing import TYPE_CHECKING

import pytest
from aiokafka import AIOKafkaProducer

from cli.topology import Topology
from storage.archive import restore_archive
from streams.clients import aiokafka_settings
from streams.delivery import send_records
from streams.topics import ensure_topics
from tests.acceptance.processes import is_caught_up, wait_until
from tests.acceptance.sending import order, send, ticks
from tests.acceptance.totals import stored_totals
from tests.frozen.records import BACKUP, FOLDER, VERSIONS, read_records, settings_of
from tests.frozen.test_bytes import expected_totals

if TYPE_CHECKING:
    from pathlib import Path

    from clv.settings import Settings


@pytest.mark.kafka
@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("version", VERSIONS)
def test_todays_roles_go_on_from_an_older_version(kafka_bootstrap: str, tmp_path: Path, version: str) -> None:
    """Every topic's bytes and the database as that version left them: new orders come on top of exact totals."""
    settings = settings_of(tmp_path, broker=kafka_bootstrap)
    asyncio.run(_fill(settings, version))
    restore_archive(settings.sql_url, FOLDER / version / BACKUP, replace=False, now_ms=0, observe=lambda *_: None)
    with Topology(settings) as topology:
        expected = expected_totals(version)
        send(settings, [*(order(name, 9_000, "2024-07-23T12:00:00Z") for name in expected)])
        send(settings, ticks(settings, "2024-07-25T00:00:00Z"))
        wait_until(lambda: is_caught_up(topology), seconds=120, what="new orders are applied")
        assert stored_totals(topology.database) == {
            name: before._replace(order_count=before.order_count + 1, revenue_minor=before.revenue_minor + 1_000)
            for name, before in expected.items()
        }
        assert {role.name: role.restarts for role in topology.roles if role.restarts} == {}


async def _fill(settings: Settings, version: str) -> None:
    await ensure_topics(settings)
    producer = AIOKafkaProducer(acks="all", **aiokafka_settings(settings))
    await producer.start()
    try:
        for (topic, partition), records in groupby(read_records(version), key=lambda r: (r.topic, r.partition)):
            batch = [(record.key, record.value, list(record.headers)) for record in records]
            for future, _ in await send_records(producer, topic, partition, batch):
                await future
    finally:
        await producer.stop()
