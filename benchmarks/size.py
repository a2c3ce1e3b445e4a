"""What customers and orders take: bytes on every topic, in the changelog and in each SQL table.

A shop's orders pass through a real Kafka, a worker and a sink; then the files are looked at. What lies on Kafka is
taken from its log segments, before any is cleaned, so that bytes a record are what a record costs in traffic too.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import tenacity
from aiokafka import TopicPartition

from benchmarks.api import fill as store_customers
from benchmarks.load import fill, publish
from benchmarks.recovery import STORES, Probes
from benchmarks.subjects import OURS, started
from clv.errors import BrokerError
from clv.rules import DAY_MS
from clv.topics import ORDERS, SCORES, SEGMENT_CHANGES, TRAINING_EXAMPLES, changelog_topic
from storage.engine import Database
from storage.overview import clv_quantiles
from storage.sinking import load_positions
from storage.sizes import compact, has_tables, measure_sizes
from streams.child_process import ChildProcess
from streams.ends import end_offsets

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from clv.settings import Settings
    from models.scorer import SnapshotScorer

DAYS_BETWEEN_ORDERS = 80
"""Mean of a customer's, at random: silences are scored between them, and labels mature."""
_MOST_SECONDS = 900.0
_POLL_SECONDS = 0.5


class Shop(NamedTuple):
    """How many customers, and how many orders each on average: they are drawn at random."""

    customers: int
    orders_each: int

    @property
    def days(self) -> int:
        """Event-days that it is open."""
        return self.orders_each * DAYS_BETWEEN_ORDERS


def measure_size(  # noqa: PLR0913  # what is measured, by keyword
    settings: Settings,
    scorer: SnapshotScorer,
    shop: Shop,
    *,
    data: Path,
    database_url: str = "",
    start_ms: int,
    asked_of: int = 100_000,
    stores: Sequence[str] = STORES,
    observe: Callable[[str], None] = lambda _name: None,
) -> dict[str, Any]:
    """Pass a shop's orders through an empty Kafka, a worker and a sink; return what lies where then.

    Parameters
    ----------
    data
        Folder of the broker's log directories.
    database_url
        An empty PostgreSQL to store in too; SQLite alone where empty.
    asked_of
        Customers that are stored beside, for the query for cut-offs to be timed.
    stores
        With which a worker is started at the end, for its memory.

    Raises
    ------
    BrokerError
        When a role ends, or is not through in time.
    """
    own = replace(settings, group=f"size-{os.getpid()}")
    count = shop.customers * shop.orders_each
    fill(own, count, shop.customers, start_ms=start_ms, seconds_between=shop.days * 86_400 / count)
    publish(own, scorer)
    with started(own, OURS, own.group, is_killed=False) as worker:
        _wait(lambda: worker.lag(own) == 0, "the worker")
    observe("the worker")
    topics = {name: _topic(own, data, name) for name in (ORDERS, SCORES, SEGMENT_CHANGES, TRAINING_EXAMPLES)}
    topics["changelog"] = _topic(own, data, changelog_topic(own.group))
    databases = {"sqlite": own} | ({"postgresql": replace(own, database_url=database_url)} if database_url else {})
    sql = {}
    for name, stored in databases.items():
        _store(stored)
        observe(f"the sink, {name}")
        sql[name] = _sizes(stored)
        sql[name]["quantiles_us_per_customer"] = _quantiles_us(stored, asked_of, observe)
    probes = Probes(own, start_ms + shop.days * DAY_MS)
    resident = {store: round(probes.start(store).resident_bytes / 2**20, 1) for store in stores}
    observe("starts with what there is")
    held = sql["sqlite"]["tables"]["customers"]["rows"]
    return {
        "customers": held,
        "orders": count,
        "days": shop.days,
        "partitions": own.partitions,
        "topics": topics,
        "row_bytes": sql["sqlite"].pop("row_bytes"),
        "resident_mb": resident,
        "sql": sql,
    }


def _wait(is_done: Callable[[], bool], who: str) -> None:
    waiting = tenacity.Retrying(
        stop=tenacity.stop_after_delay(_MOST_SECONDS),
        wait=tenacity.wait_fixed(_POLL_SECONDS),
        retry=tenacity.retry_if_result(lambda done: not done),
        retry_error_callback=lambda _: False,
    )
    if not waiting(is_done):
        raise BrokerError(f"{who} was not through within {_MOST_SECONDS:.0f} seconds", "give fewer --customers")


def _ends(settings: Settings, topic: str) -> dict[TopicPartition, int]:
    return asyncio.run(end_offsets(settings, [TopicPartition(topic, number) for number in range(settings.partitions)]))


def _topic(settings: Settings, data: Path, topic: str) -> dict[str, float]:
    """Return a topic's records, and what one takes in the broker's log, headers and batches included."""
    records = sum(_ends(settings, topic).values())
    written = sum(path.stat().st_size for path in data.glob(f"{topic}-[0-9]*/*.log"))
    return {"records": records, "bytes_per_record": round(written / max(records, 1), 1)}


def _store(settings: Settings) -> None:
    """Run a sink until the database has all that the topics hold."""
    wanted = {
        (place.topic, place.partition): end
        for topic in (SCORES, SEGMENT_CHANGES, TRAINING_EXAMPLES, changelog_topic(settings.group))
        for place, end in _ends(settings, topic).items()
    }
    outside = {variable: value for variable, value in os.environ.items() if not variable.startswith("CLV_")}
    program = [sys.executable, "-c", "from cli.main import main; main()", "sink"]
    log = settings.data_dir / "logs" / f"sink-{'postgresql' if settings.database_url else 'sqlite'}.log"
    sink = ChildProcess(program, log, environ=outside | settings.to_env())
    database = Database(settings.sql_url)
    try:
        _wait(lambda: _has_stored(database, sink, log, wanted), "the sink")
    finally:
        sink.stop(signal_number=signal.SIGTERM)
        database.close()


def _has_stored(database: Database, sink: ChildProcess, log: Path, wanted: Mapping[tuple[str, int], int]) -> bool:
    if not sink.is_running:
        raise BrokerError("the sink ended while it was measured", f"its log: {log}")
    if not has_tables(database):
        return False
    reached = load_positions(database, [topic for topic, _ in wanted])
    return all(place in reached and reached[place].next_offset >= end for place, end in wanted.items() if end)


def _sizes(settings: Settings) -> dict[str, Any]:
    """Return what tables take with their indexes, without what updates have left behind."""
    compact(settings.sql_url)
    database = Database(settings.sql_url)
    try:
        found = measure_sizes(database)
    finally:
        database.close()
    return {
        "total_bytes": found.total_bytes,
        "artifact_bytes": found.artifact_bytes,
        "row_bytes": round(found.state_bytes, 1),
        "tables": {
            name: {"rows": count, "bytes_per_row": round(found.taken_bytes[name] / max(count, 1), 1)}
            for name, count in found.rows.items()
        },
    }


def _quantiles_us(settings: Settings, customers: int, observe: Callable[[str], None]) -> float:
    """Store that many customers more, and return what the query for segment cut-offs takes a customer."""
    store_customers(settings, customers, observe)
    database = Database(settings.sql_url)
    try:
        clv_quantiles(database, [80, 50])  # once for what is read from disk and connected
        begun = time.perf_counter()
        clv_quantiles(database, [80, 50])
        return round(1e6 * (time.perf_counter() - begun) / customers, 3)
    finally:
        database.close()
