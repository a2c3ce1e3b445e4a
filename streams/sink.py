"""The role ``sink``: stores what the output topics and the customers table's changelog carry in SQL.

Its offsets live in SQL, in the transaction of their rows, never in Kafka; the consumer group only shares out the
partitions. On SQLite one sink runs, on PostgreSQL several may.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import KafkaConnectionError, KafkaError, KafkaTimeoutError

from clv.errors import BrokerError, StoreUnavailable
from clv.retention import table_retention_ms
from clv.topics import changelog_topic
from observability.serving import make_registry, served
from observability.sink import SinkMetrics
from storage.engine import Database
from storage.schema import upgrade
from streams.broker import capabilities
from streams.clients import aiokafka_settings
from streams.ends import end_offsets
from streams.expiry import expire_rows
from streams.heartbeat import heartbeat
from streams.lag import measure_lag
from streams.letters import fulfil_wishes
from streams.sink_batches import OUTPUT_TOPICS
from streams.sink_loop import SinkLoop
from streams.store_retry import retry_store
from streams.topics import ensure_topics, topic_ids

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clv.settings import Settings

log = structlog.get_logger(__name__)

_SESSION_MS = 6_000
_RETRY_MS = 1_000
_NEVER_MS = 2**31 - 1


async def run_sink(settings: Settings, stop: asyncio.Event) -> None:
    """Store records until ``stop`` is set; waits out an unavailable database, which it creates or migrates first.

    Raises
    ------
    BrokerError
        When the broker cannot be reached at the start, or refuses for good.
    StoreError
        When the database refuses for good, for example because a newer build has migrated it.
    ConfigError
        When the topics or the database's URL are wrong.
    """
    database = Database(settings.sql_url)
    metrics = SinkMetrics(make_registry("sink"))
    try:
        with served(settings, metrics.registry):
            await retry_store(stop, upgrade, settings.sql_url)
            await ensure_topics(settings)
            async with heartbeat(database, "sink", partial(_figures, settings, database, metrics)):
                await _consume(settings, database, stop, metrics)
    except StoreUnavailable:
        if not stop.is_set():
            raise
        log.info("sink stopped while the database was unavailable; the records are still on the broker")
    except KafkaError as problem:
        raise BrokerError(f"the broker refuses the sink: {type(problem).__name__}: {problem}") from problem
    finally:
        database.close()


async def _consume(settings: Settings, database: Database, stop: asyncio.Event, metrics: SinkMetrics) -> None:
    async def ids() -> Mapping[str, str]:
        return await topic_ids(settings)

    changelog = changelog_topic(settings.group)
    consumer = _Reader(
        settings,
        **aiokafka_settings(settings),
        group_id=f"{settings.group}-sink",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        # By range, partition p of every keyed topic goes to the same sink: states and outputs stay together.
        partition_assignment_strategy=(RangePartitionAssignor,),
        session_timeout_ms=_SESSION_MS,
        retry_backoff_ms=_RETRY_MS,
        heartbeat_interval_ms=_SESSION_MS // 3,
        max_poll_interval_ms=_NEVER_MS,  # an unavailable database is waited out as a member of the group
        fetch_max_wait_ms=100,
        metadata_max_age_ms=10_000,  # a recreated topic is missing from the assignment until then
        max_partition_fetch_bytes=4_194_304,
    )
    loop = SinkLoop(consumer, database, topic_ids=ids, changelog=changelog, stop=stop, metrics=metrics)
    consumer.subscribe([*OUTPUT_TOPICS, changelog], listener=_Rebalances(loop))
    try:
        if not await _started(consumer, stop):
            return
        log.info("sink started", database=database.location)
        beside = [
            asyncio.create_task(fulfil_wishes(settings, database), name="wishes"),
            asyncio.create_task(expire_rows(database, table_retention_ms(settings.table_retention)), name="retention"),
        ]
        try:
            while not stop.is_set():
                await _step(loop)
                _check(beside)
            await loop.drain()
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
    finally:
        await consumer.stop()
        log.info("sink stopped")


def _check(beside: list[asyncio.Task[None]]) -> None:
    """Let the sink end with a task that runs beside it, and be started anew."""
    for task in beside:
        if task.done():
            task.result()


async def _figures(settings: Settings, database: Database, metrics: SinkMetrics) -> dict[str, int]:
    lag = await measure_lag(settings, database)
    metrics.note_lag(orders=lag.orders, outputs=lag.outputs, learning_days=lag.days)
    return {"lag_orders": lag.orders, "lag_outputs": lag.outputs, "lag_days_to_learn": lag.days}


async def _started(consumer: AIOKafkaConsumer, stop: asyncio.Event) -> bool:
    """Start the consumer, which joins its group as long as that takes; return False where told to stop meanwhile."""
    joining, stopping = asyncio.ensure_future(consumer.start()), asyncio.ensure_future(stop.wait())
    await asyncio.wait({joining, stopping}, return_when=asyncio.FIRST_COMPLETED)
    for waiting in (joining, stopping):
        waiting.cancel()
    outcomes = await asyncio.gather(joining, stopping, return_exceptions=True)
    if isinstance(outcomes[0], Exception):
        raise outcomes[0]
    return not isinstance(outcomes[0], BaseException)


class _Reader(AIOKafkaConsumer):  # aiokafka's consumer, with true end offsets on the embedded broker too
    def __init__(self, settings: Settings, **options: Any) -> None:
        super().__init__(**options)
        self._settings = settings

    async def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        if capabilities(self._settings).has_true_ends:
            found: dict[TopicPartition, int] = await super().end_offsets(partitions)
            return found
        return await end_offsets(self._settings, partitions)


async def _step(loop: SinkLoop) -> None:
    try:
        await loop.step()
    except KafkaError as problem:
        if not (problem.retriable or isinstance(problem, KafkaConnectionError | KafkaTimeoutError)):
            raise
        log.warning("broker unavailable, waiting", problem=type(problem).__name__)
        loop.reassigned()
        await asyncio.sleep(1)


class _Rebalances(ConsumerRebalanceListener):
    """Tells the loop when its partitions change."""

    def __init__(self, loop: SinkLoop) -> None:
        self._loop = loop

    async def on_partitions_revoked(self, revoked: Any) -> None:  # noqa: ARG002  # aiokafka's signature
        self._loop.reassigned()

    async def on_partitions_assigned(self, assigned: Any) -> None:
        self._loop.reassigned()
        log.info("sink assigned", partitions=len(assigned))
