"""The Faust application of the worker, made from the settings."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
from typing import IO, TYPE_CHECKING, Any

import faust
import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import ConsumerStoppedError, KafkaError
from faust.types import TP

from clv.errors import ScorerError
from clv.rules import Rules
from clv.topics import ORDERS, changelog_topic
from clv.watermark import NO_TIME_MS
from observability.serving import make_registry, served
from observability.worker import Standing, WorkerMetrics
from storage.engine import Database
from streams.agents import OrdersRunner
from streams.broker import capabilities
from streams.clients import aiokafka_settings, bootstrap
from streams.delivery import MAX_BATCH_BYTES
from streams.fencing import read_rows, wait_for_certainty
from streams.heartbeat import heartbeat
from streams.lock import hold_lock
from streams.published import PublishedModels
from streams.recovering import take_batch
from streams.topics import ensure_topics
from streams.watch import watch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from clv.settings import Settings
    from streams.fencing import Rows
    from streams.partitions import PartitionProcessor

log = structlog.get_logger(__name__)
SESSION_TIMEOUT_SECONDS = 6.0
EXIT_FAILED = 70
_MAX_REQUEST_BYTES = 4_194_304
_COLLECTED_EVERY = 50_000
"""Objects made between two looks for garbage in cycles, of which a batch makes none: at Python's 700 the looking took
a quarter of the worker's time."""


class RawBytes(faust.Codec):
    """Hands values through as they are: we decode them ourselves, so that a bad one is a dead letter, not a crash."""

    def _loads(self, s: Any) -> Any:
        return s

    def _dumps(self, obj: Any) -> Any:
        return obj


class ConsumedOrders:
    """The orders topic as Faust's consumer reads it; satisfies ``streams.agents.Source``."""

    def __init__(self, app: faust.App) -> None:
        self._app = app

    def acked_to(self, partition: int) -> int:
        """Return the offset from which a partition is read after a rebalance."""
        return int(self._app.consumer.acked_to(TP(ORDERS, partition)))

    async def seek(self, partition: int, offset: int) -> None:
        """Read on from an offset."""
        await self._app.consumer.seek(TP(ORDERS, partition), offset)

    async def may_send(self) -> None:
        """Return once nobody else can have our partitions; raise when somebody has."""
        await wait_for_certainty(self._app.consumer.member)


class ScorerApp(faust.App):
    """Faust's application, with our settings and what the orders agent needs."""

    settings: Settings
    metrics: WorkerMetrics
    topic_ids: dict[str, str]
    runner: OrdersRunner | None = None
    _producer_of_batches: AIOKafkaProducer | None = None
    _lock: IO[str] | None = None
    _followers: tuple[asyncio.Task[None], ...] = ()
    _serving: contextlib.ExitStack | None = None

    def be_alone(self) -> None:
        """Make sure of being the only worker where nothing fences a second.

        Raises
        ------
        BrokerError
            When another worker runs on the embedded broker.
        """
        if self._lock is None and not capabilities(self.settings).has_transactions:
            self._lock = hold_lock(
                self.settings.data_dir / "worker.lock",
                message=f"a worker already runs on the embedded broker of {self.settings.data_dir}",
                hint="the embedded broker allows one worker; set CLV_BROKER to a Kafka for more",
            )

    def find_topics(self) -> None:
        """Make sure of the topics before there is a loop: what is wrong is one line then, and no traceback of Faust's.

        Raises
        ------
        BrokerError, ConfigError
            The broker does not let us in, or the topics are not as they must be.
        """
        self.topic_ids = asyncio.run(ensure_topics(self.settings))

    async def on_first_start(self) -> None:
        """Make sure of the topics before anything subscribes to them."""
        self.settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.be_alone()
        self._serving = contextlib.ExitStack()
        self._serving.enter_context(served(self.settings, self.metrics.registry))
        if not self.topic_ids:
            self.topic_ids = await ensure_topics(self.settings)
        await super().on_first_start()

    async def run_orders(self, events: AsyncIterator[Any], store: Any) -> None:
        """Run the orders agent: open producer and models, then take batches until the stream ends."""
        settings = self.settings
        producer = AIOKafkaProducer(
            acks="all",
            max_batch_size=MAX_BATCH_BYTES,
            max_request_size=_MAX_REQUEST_BYTES,
            enable_idempotence=capabilities(settings).has_idempotence,
            **aiokafka_settings(settings),
        )
        await producer.start()
        self._producer_of_batches = producer
        database = Database(settings.sql_url)
        models = PublishedModels(settings, database)
        self.runner = OrdersRunner(
            source=ConsumedOrders(self),
            store=store,
            producer=producer,
            models=models,
            rules=Rules.from_settings(settings),
            changelog=changelog_topic(settings.group),
            topic_id=self.topic_ids[ORDERS],
            batch_records=settings.batch_records,
            on_failure=end_process,
            end_offset=self._end_offset,
            read_changelog=self._read_changelog if capabilities(settings).has_transactions else None,
            metrics=self.metrics,
        )
        gc.freeze()
        gc.set_threshold(_COLLECTED_EVERY)
        self._followers = (
            asyncio.create_task(_or_end(models.follow()), name="models"),
            asyncio.create_task(_or_end(watch(self, producer)), name="watch"),
        )
        async with heartbeat(database, "worker", self._figures, name=settings.worker_id):
            await self.runner.run(events)

    async def _figures(self) -> dict[str, int]:
        """Return what the worker says of itself."""
        assigned = [place for place in self.assignor.assigned_actives() if place.topic == ORDERS]
        await self._look_at_partitions(assigned)
        return {"partitions": len(assigned)}

    async def _look_at_partitions(self, assigned: list[TP]) -> None:
        """Note where our partitions stand, for the metrics."""
        if self.in_recovery or self.rebalancing or not self.runner or not self.settings.metrics_port:
            return
        try:
            ends = await self.consumer.highwaters(*assigned) if assigned else {}
        except (KafkaError, ConsumerStoppedError, ScorerError) as problem:
            log.warning("broker does not say where the partitions end", problem=type(problem).__name__)
            return
        rules, processors = Rules.from_settings(self.settings), self.runner.processors
        self.metrics.standings = {
            place.partition: _standing(
                ends[place] - self.consumer.acked_to(place), processors.get(place.partition), rules
            )
            for place in assigned
        }

    def _end_offset(self, partition: int) -> int | None:
        if not capabilities(self.settings).has_true_ends:
            return None
        end: int | None = self.consumer.highwater(TP(ORDERS, partition))
        return end

    async def _read_changelog(self, partition: int, first: int, end: int) -> Rows:
        return await read_rows(self.settings, TP(changelog_topic(self.settings.group), partition), first, end)

    async def on_stop(self) -> None:
        """Stop after in-flight batches have been acknowledged, then let go of producer and followers."""
        await super().on_stop()
        for task in self._followers:
            task.cancel()
        await asyncio.gather(*self._followers, return_exceptions=True)
        if self.runner:
            await self.runner.forget()
        if self._producer_of_batches:
            await self._producer_of_batches.stop()
        if self._serving:
            self._serving.close()


def _standing(lag: int, processor: PartitionProcessor | None, rules: Rules) -> Standing:
    """Return where a partition stands; of one without a batch since the last rebalance only the lag is known."""
    if processor is None:
        return Standing(max(lag, 0), None, 0)
    watermark_ms = processor.state.watermark_ms(rules)
    is_known = watermark_ms > NO_TIME_MS
    return Standing(max(lag, 0), watermark_ms if is_known else None, len(processor.state.waiting))


async def _or_end(task: Any) -> None:
    """Run a background task; the process ends with it, since without it results would go wrong silently."""
    try:
        await task
    except asyncio.CancelledError:
        raise
    except Exception as problem:  # noqa: BLE001 - whatever it is, the worker must not go on without it
        end_process(problem)


def end_process(problem: BaseException) -> None:
    """End the worker at once, with nothing further acknowledged; a supervisor starts it again where it was."""
    log.critical("worker stops", problem=repr(problem), exc_info=problem)
    os._exit(EXIT_FAILED)


def create_app(settings: Settings) -> ScorerApp:
    """Return the worker's Faust application; nothing is connected yet.

    Raises
    ------
    ConfigError, BrokerError
        When the settings cannot work or no embedded broker runs for the data directory.
    """
    app = ScorerApp(
        settings.group,
        broker=[f"clv://{server.strip()}" for server in bootstrap(settings).split(",")],
        store=f"clv-{settings.store}://",
        datadir=str(settings.data_dir.absolute() / settings.worker_id),
        autodiscover=False,
        topic_partitions=settings.partitions,
        topic_replication_factor=settings.replication,
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        broker_session_timeout=SESSION_TIMEOUT_SECONDS,
        broker_heartbeat_interval=SESSION_TIMEOUT_SECONDS / 3,
        broker_max_poll_records=settings.batch_records,
        broker_commit_interval=1.0,
        stream_buffer_maxsize=16,
        stream_wait_empty=True,
        key_serializer="raw",
        value_serializer="raw",
    )
    app.settings = settings
    app.topic_ids = {}
    app.metrics = WorkerMetrics(make_registry("worker"))
    orders = app.topic(ORDERS, key_type=bytes, value_type=None, key_serializer="raw", value_serializer=RawBytes())
    changelog = app.topic(
        changelog_topic(settings.group),
        key_type=bytes,
        value_type=None,
        key_serializer="raw",
        value_serializer=RawBytes(),
        partitions=settings.partitions,
        compacting=True,
    )

    async def take_changelog(event: Any) -> None:
        """Apply what recovery has read."""
        await take_batch(app, customers.data, event, end_process)

    customers = app.Table(
        "customers",
        default=None,
        partitions=settings.partitions,
        key_type=bytes,
        value_type=bytes,
        changelog_topic=changelog,
        recovery_buffer_size=2,
        on_changelog_event=take_changelog,
    )

    async def take_orders(stream: Any) -> None:
        """Score order events, a partition batch at a time."""
        try:
            await app.run_orders(stream.noack().events(), customers.data)
        except Exception as problem:
            # Faust would start the agent again, for ever, and the process would look alive.
            end_process(problem)
            raise

    app.agent(orders, name="orders")(take_orders)

    async def on_revoked(sender: Any, revoked: Any, **kwargs: Any) -> None:
        """Forget the partitions; they are read again from the recovered store."""
        del sender, revoked, kwargs
        if app.runner:
            await app.runner.forget()

    app.on_partitions_revoked.connect(on_revoked, weak=False)
    return app
