"""The sink's loop without a broker: exactly once, in an order that a refill may trust, through every trouble."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select
from structlog.testing import capture_logs

from clv import topics
from clv.errors import BrokerError
from observability.sink import SinkMetrics
from storage import engine, tables
from storage.sinking import load_positions
from storage.states import count_states
from streams import sink_loop
from streams.sink_loop import SinkLoop
from tests.contract.storage.broker_fake import SCORES, STATES, MemoryConsumer
from tests.contract.storage.outputs import CHANGELOG, IDS, OutputTopics

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from storage.engine import Database


class Bench:
    """A loop over a memory consumer, with topic ids that a test may change."""

    def __init__(self, database: Database, outputs: OutputTopics | None = None) -> None:
        self.outputs = outputs or OutputTopics()
        self.consumer = MemoryConsumer(self.outputs)
        self.ids: dict[str, str] = dict(IDS)
        self.database = database
        self.metrics = SinkMetrics()
        self.loop = SinkLoop(
            self.consumer,
            database,
            topic_ids=self._topic_ids,
            changelog=CHANGELOG,
            stop=asyncio.Event(),
            metrics=self.metrics,
        )

    async def _topic_ids(self) -> Mapping[str, str]:
        if not self.ids:
            raise BrokerError("the broker is away")
        return self.ids

    async def steps(self, count: int = 3) -> int:
        """Run some steps and return the records that they stored."""
        return sum([await self.loop.step() for _ in range(count)])

    def figure(self, name: str, **labels: str) -> float:
        """Return one of the sink's figures."""
        found = self.metrics.registry.get_sample_value(f"clv_sink_{name}", labels)
        assert found is not None, name
        return found

    def scores(self) -> int:
        """Count the stored scores."""
        return _scores(self.database)


def _scores(database: Database) -> int:
    with database.reading() as connection:
        return connection.execute(select(func.count()).select_from(tables.scores)).scalar_one()


@pytest.fixture(autouse=True)
def _no_linger(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every step store what it has read."""
    monkeypatch.setattr(sink_loop, "LINGER_SECONDS", 0)


def _events(logs: list[Any]) -> list[str]:
    return [line["event"] for line in logs]


def test_records_are_stored_once(database: Database) -> None:
    """Everything on the topics ends in SQL, further steps add nothing, and a new sink goes on behind it."""
    bench = Bench(database)
    bench.outputs.score("e1", "c1")
    bench.outputs.state(b"c1", b"row")
    assert asyncio.run(bench.steps()) == 2
    assert asyncio.run(Bench(database, bench.outputs).steps()) == 0
    assert (bench.scores(), count_states(database)) == (1, 1)
    assert bench.figure("stored_records_total", topic=topics.SCORES) == 1
    assert bench.figure("stored_records_total", topic=CHANGELOG) == 1
    assert bench.figure("batch_records_sum") == 2
    assert bench.figure("last_write_timestamp_seconds") == pytest.approx(time.time(), abs=60)


def test_dead_letters_are_counted_by_whose_and_why(database: Database) -> None:
    """A worker's by its reason, another's as other, an output that cannot be read as the sink's own."""
    bench = Bench(database)
    for offset, reason in enumerate(("bad_time", "bad_time", "made_up")):
        bench.outputs.dead_letter(offset, reason=reason)
    bench.outputs.add(topics.SCORES, b"c1", b"rubbish")
    asyncio.run(bench.steps())

    found = {
        (source, reason): bench.figure("dead_letters_total", source=source, reason=reason)
        for source, reason in [("orders", "bad_time"), ("orders", "other"), ("outputs", "undecodable")]
    }
    assert found == {("orders", "bad_time"): 2, ("orders", "other"): 1, ("outputs", "undecodable"): 1}


def test_states_wait_for_the_outputs_before_them(database: Database) -> None:
    """A state row is stored only when every output that was on the broker before it is."""
    bench = Bench(database)
    bench.outputs.score("e1", "c1")
    bench.outputs.dead_letter(3)
    bench.outputs.state(b"c1", b"row")
    bench.consumer.stalled = {SCORES}
    assert asyncio.run(bench.steps()) == 1
    assert (bench.scores(), count_states(database)) == (0, 0)
    bench.consumer.stalled = set()
    assert asyncio.run(bench.steps()) == 2
    assert (bench.scores(), count_states(database)) == (1, 1)


def test_outputs_do_not_wait_for_states(database: Database) -> None:
    """Scores are in SQL though the changelog gives nothing."""
    bench = Bench(database)
    bench.outputs.score("e1", "c1")
    bench.outputs.state(b"c1", b"row")
    bench.consumer.stalled = {STATES}
    assert asyncio.run(bench.steps()) == 1


def test_a_zombie_drops_its_batch_and_starts_over(database: Database) -> None:
    """A sink whose partitions another one has written drops what it read and goes on where the database stands."""
    bench = Bench(database)
    asyncio.run(bench.steps(1))
    bench.outputs.score("e1", "c1")
    asyncio.run(Bench(database, bench.outputs).steps())
    bench.outputs.score("e2", "c1")
    with capture_logs() as logs:
        assert asyncio.run(bench.steps()) == 1
    assert _events(logs) == ["batch dropped, reading again from where the database stands"]
    assert bench.scores() == 2


def test_a_rebalance_drops_what_was_read(database: Database) -> None:
    """After losing a partition the loop stores nothing of it, and stores it when it is back."""
    bench = Bench(database)
    asyncio.run(bench.steps())
    bench.consumer.assigned.remove(SCORES)
    bench.loop.reassigned()
    bench.outputs.score("e1", "c1")
    assert asyncio.run(bench.steps()) == 0
    bench.consumer.assigned.add(SCORES)
    bench.loop.reassigned()
    assert asyncio.run(bench.steps()) == 1


def test_states_wait_while_an_output_topic_is_not_assigned(database: Database) -> None:
    """While a topic is being recreated its partitions are nobody's: states must not overtake what it will hold."""
    bench = Bench(database)
    bench.consumer.assigned.remove(SCORES)
    bench.outputs.score("e1", "c1")
    bench.outputs.state(b"c1", b"row")
    with capture_logs() as logs:
        assert asyncio.run(bench.steps()) == 0
    assert _events(logs) == ["states wait for a topic to be assigned"]
    bench.consumer.assigned.add(SCORES)
    bench.loop.reassigned()
    assert asyncio.run(bench.steps()) == 2


def test_a_recreated_topic_is_read_from_its_beginning(database: Database) -> None:
    """When the broker lost its topics, records of their new life count though their offsets were seen before."""
    bench = Bench(database)
    for number in range(3):
        bench.outputs.score(f"old-{number}", "c1")
    asyncio.run(bench.steps())
    again = Bench(database)
    again.ids[topics.SCORES] = "another id"
    again.outputs.score("new-0", "c2")
    with capture_logs() as logs:
        assert asyncio.run(again.steps()) == 1
    assert _events(logs) == ["topic was recreated, reading it from its beginning"]
    assert bench.scores() == 4
    assert load_positions(database, [topics.SCORES])[topics.SCORES, 0].incarnation == "another id"


def test_a_topic_recreated_while_the_sink_runs_is_noticed(database: Database) -> None:
    """Offsets that go back make the sink look at the topic's id at once, and start over."""
    bench = Bench(database)
    for number in range(3):
        bench.outputs.score(f"old-{number}", "c1")
    asyncio.run(bench.steps())
    bench.ids[topics.SCORES] = "another id"
    bench.consumer.outputs = OutputTopics()
    bench.consumer.outputs.score("new-0", "c2")
    bench.consumer.outputs.score("new-1", "c2")
    bench.consumer.seek(SCORES, 0)  # what auto_offset_reset does
    asyncio.run(bench.steps())
    assert bench.scores() == 5
    assert load_positions(database, [topics.SCORES])[topics.SCORES, 0].next_offset == 2


def test_a_broker_that_is_away_is_waited_for(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without topic ids nothing is read; with them the loop goes on."""
    monkeypatch.setattr(sink_loop, "_UNASSIGNED_SECONDS", 0)
    bench = Bench(database)
    bench.outputs.score("e1", "c1")
    ids, bench.ids = bench.ids, {}
    assert asyncio.run(bench.steps()) == 0
    bench.ids = ids
    assert asyncio.run(bench.steps()) == 1


def test_draining_stores_what_was_read(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stop keeps the outputs that wait for company, and reads nothing twice."""
    monkeypatch.setattr(sink_loop, "LINGER_SECONDS", 3_600)
    bench = Bench(database)
    bench.outputs.score("e1", "c1")
    assert asyncio.run(bench.steps()) == 0
    assert asyncio.run(bench.loop.drain()) == 1
    assert bench.scores() == 1


def _lock(file: Path) -> sqlite3.Connection:
    holder = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    return holder


def test_a_locked_file_is_waited_for(
    tmp_path: Path, sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While another process holds the file's lock the batch is held; then it is stored, once."""
    monkeypatch.setattr(engine, "BUSY_SECONDS", 0.05)
    sqlite_database.close()
    bench = Bench(sqlite_database)
    asyncio.run(bench.steps())
    bench.outputs.score("e1", "c1")
    holder = _lock(tmp_path / "clv.db")
    release = threading.Timer(0.5, holder.rollback)
    release.start()
    with capture_logs() as logs:
        assert asyncio.run(bench.steps()) == 1
    release.join()
    holder.close()
    assert set(_events(logs)) == {"database unavailable, waiting", "database available again"}
    assert "locked by another writer" in logs[0]["problem"]
    assert bench.scores() == 1
    assert bench.figure("store_retries_total") == _events(logs).count("database unavailable, waiting")
    assert bench.figure("write_seconds_count") == 1


def test_a_file_that_is_away_is_waited_for(tmp_path: Path, sqlite_database: Database) -> None:
    """A database that was moved away is missed, not silently written into, and used again when it is back."""
    bench = Bench(sqlite_database)
    asyncio.run(bench.steps())
    bench.outputs.score("e1", "c1")
    file, elsewhere = tmp_path / "clv.db", tmp_path / "elsewhere.db"
    sqlite_database.close()
    file.replace(elsewhere)
    release = threading.Timer(0.5, elsewhere.replace, (file,))
    release.start()
    with capture_logs() as logs:
        assert asyncio.run(bench.steps()) == 1
    release.join()
    assert _events(logs)[-1] == "database available again"
    assert "there is no database" in logs[0]["problem"]
    assert bench.scores() == 1
