"""The sink role from topics to SQL, on brokers that really run."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from aiokafka import AIOKafkaProducer

from clv.settings import Settings
from storage.engine import Database
from storage.overview import summarise
from storage.schema import upgrade
from storage.states import count_states
from streams.sink import run_sink
from streams.topics import ensure_topics
from tests.contract.storage.outputs import OutputTopics

if TYPE_CHECKING:
    from pathlib import Path

_PATIENCE_SECONDS = 60


@pytest.fixture(
    params=[
        pytest.param("embedded_broker", marks=(pytest.mark.embedded, pytest.mark.slow), id="embedded"),
        pytest.param("kafka_bootstrap", marks=pytest.mark.kafka, id="kafka"),
    ]
)
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings of a deployment on each broker, with SQLite."""
    return Settings(broker=str(request.getfixturevalue(request.param)), data_dir=tmp_path)


async def _send(settings: Settings, outputs: OutputTopics, transactional_id: str | None) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=settings.broker, transactional_id=transactional_id)
    async with producer:
        if transactional_id:
            await producer.begin_transaction()
        for record in outputs.records:
            await producer.send(record.topic, record.value, record.key, 0, headers=list(record.headers))
        if transactional_id:
            await producer.commit_transaction()


async def _sink_until(settings: Settings, database: Database, *, scores: int, states: int) -> None:
    stop = asyncio.Event()
    role = asyncio.create_task(run_sink(settings, stop))
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while not role.done() and (summarise(database).scores < scores or count_states(database) < states):  # noqa: ASYNC110  # a database tells nobody
            await asyncio.sleep(0.05)
    stop.set()
    await role


async def _run_twice(settings: Settings, *, is_transactional: bool) -> tuple[int, int, int]:
    await ensure_topics(settings)
    upgrade(settings.sql_url)
    database = Database(settings.sql_url)
    for life in ("first", "second"):
        outputs = OutputTopics()
        for number in range(20):
            outputs.score(f"{life}-{number}", f"c{number}")
            outputs.state(b"c%d" % number, life.encode())
        outputs.state(life.encode(), b"last")
        outputs.dead_letter(7)
        await _send(settings, outputs, "worker-0" if is_transactional else None)
        await _sink_until(
            settings, database, scores=20 if life == "first" else 40, states=21 if life == "first" else 22
        )
    found = summarise(database)
    database.close()
    return found.scores, found.customers, sum(found.dead_letters.values())


def test_what_a_worker_emits_ends_in_sql(settings: Settings, request: pytest.FixtureRequest) -> None:
    """A sink that is stopped and started again stores each record once, behind transaction markers too."""
    is_kafka = "kafka" in request.node.callspec.id
    assert asyncio.run(_run_twice(settings, is_transactional=is_kafka)) == (40, 20, 1)
