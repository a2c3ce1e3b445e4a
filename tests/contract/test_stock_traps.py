"""What stock Faust does with records at the edges; where one of these fails, Faust has changed and we may do less.

Each trap's counterpart is a test of ours that would fail on this behaviour: docs/reliability.md has both.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, NamedTuple

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from faust.topics import Topic
from faust.transport.producer import ProducerBuffer

from benchmarks.load import make_topics
from clv.settings import Settings
from tests.contract.stock_app import OUTPUT, POISON, RECORDS, SOURCE

if TYPE_CHECKING:
    from collections.abc import Iterator

TRAPS = "ABCDEFI"
SECONDS = 60.0
ALL = set(range(RECORDS))
EXPECTED_LOST = {
    "A": {POISON},
    "B": set(range(RECORDS // 2)),
    "C": ALL,
    "D": set(range(POISON, RECORDS)),
    "E": {POISON},
    "F": {POISON},
}
pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(150)]


class Seen(NamedTuple):
    """What a program gave out, and where its committed offset stands; −1 for none."""

    outputs: list[str]
    committed: int


@pytest.fixture(scope="module")
def seen(kafka_bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Seen]]:
    """Run every program at once, twice each where it dies, until it has fallen into its trap or time is up."""
    settings = replace(Settings(), broker=kafka_bootstrap, partitions=1)
    topics = [pattern.format(trap) for trap in TRAPS for pattern in (SOURCE, OUTPUT)]
    make_topics(settings, [*topics, *(f"traps-{trap}-counts-changelog" for trap in "CI")])
    asyncio.run(_fill(kafka_bootstrap))
    folder = tmp_path_factory.mktemp("traps")
    running = {trap: _start(trap, kafka_bootstrap, folder) for trap in TRAPS}
    deadline = time.monotonic() + SECONDS
    found: dict[str, Seen] = {}
    try:
        while time.monotonic() < deadline and not all(_is_through(trap, found.get(trap)) for trap in TRAPS):
            time.sleep(1.0)
            for trap, process in running.items():
                if process.poll() is not None and trap in "FI":
                    running[trap] = _start(trap, kafka_bootstrap, folder)
            found = asyncio.run(_look(kafka_bootstrap))
        yield found
    finally:
        for process in running.values():
            process.kill()
            process.wait()


def _start(trap: str, broker: str, folder: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.contract.stock_app", trap, broker]
    with (folder / f"{trap}.log").open("ab") as log:
        return subprocess.Popen(command, cwd=Path(__file__).parents[2], stdout=log, stderr=log)


def _is_through(trap: str, found: Seen | None) -> bool:
    if found is None:
        return False
    if trap == "I":
        return len(found.outputs) > RECORDS
    return found.committed >= (POISON + 1 if trap == "D" else RECORDS)


async def _fill(broker: str) -> None:
    async with AIOKafkaProducer(bootstrap_servers=broker, acks="all") as producer:
        for trap in TRAPS:
            for number in range(RECORDS):
                plain = json.dumps({"number": number}).encode() if trap in "DE" else str(number).encode()
                value = b"{ no JSON" if trap in "DE" and number == POISON else plain
                await producer.send(SOURCE.format(trap), value, partition=0)
        await producer.flush()


async def _look(broker: str) -> dict[str, Seen]:
    found = {}
    for trap in TRAPS:
        options = {"bootstrap_servers": broker, "enable_auto_commit": False}
        async with AIOKafkaConsumer(group_id=f"traps-{trap}", **options) as group:
            source = TopicPartition(SOURCE.format(trap), 0)
            group.assign([source])
            committed = await group.committed(source)
        async with AIOKafkaConsumer(**options) as consumer:
            place = TopicPartition(OUTPUT.format(trap), 0)
            consumer.assign([place])
            await consumer.seek_to_beginning(place)
            end = (await consumer.end_offsets([place]))[place]
            outputs: list[str] = []
            while len(outputs) < end:
                for records in (await consumer.getmany(timeout_ms=500)).values():
                    outputs += [record.value.decode() for record in records]
        found[trap] = Seen(outputs, -1 if committed is None else committed)
    return found


@pytest.mark.parametrize("trap", EXPECTED_LOST)
def test_stock_faust_loses_records_and_commits_past_them(trap: str, seen: dict[str, Seen]) -> None:
    """A raise, `take` and its raise, a write in it, a bad record in it, a bad record, and two at once."""
    found = seen[trap]
    lost = ALL - {int(text) for text in found.outputs}
    assert lost == EXPECTED_LOST[trap]
    assert found.committed > min(lost)


def test_stock_faust_counts_twice_after_a_crash(seen: dict[str, Seen]) -> None:
    """I: the changelog is ahead of the committed offset, and nothing tells."""
    assert max(map(int, seen["I"].outputs)) > RECORDS


class _Stuck(ProducerBuffer):
    """A buffer whose one message is never sent."""

    state = "running"
    size = 1


def test_stock_faust_s_flush_gives_up() -> None:
    """G: it waits a tenth of a second for a message, returns, and the commit that follows does not know."""
    assert asyncio.run(_flushed()) == 0


async def _flushed() -> int:
    return await asyncio.wait_for(_Stuck().flush_atmost(None), timeout=30.0)


def test_stock_faust_s_failed_publish_is_only_noted() -> None:
    """H: a send that failed is logged, and nobody who commits hears of it."""
    topic = SimpleNamespace(app=SimpleNamespace(sensors=SimpleNamespace(on_send_error=lambda *_: None)))
    noted: list[BaseException] = []
    channel = SimpleNamespace(get_topic_name=lambda: "scores")
    message = SimpleNamespace(message=SimpleNamespace(channel=channel), set_exception=noted.append)
    sent: Future[None] = Future()
    sent.set_exception(OSError("the broker is gone"))
    Topic._on_published(topic, sent, message, None, None)
    assert [str(problem) for problem in noted] == ["the broker is gone"]
