"""The trainer role: one process that learns every matured example once and publishes what workers score with.

Its state, its offsets and what it publishes go into SQL in one transaction; announcements follow, and are repeated
after a restart. Whoever starts last has the role: the store stops the trainer before.
"""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError
from tenacity import retry, retry_if_exception_type, stop_after_attempt

from clv.errors import BrokerError, StoreConflict, StoreUnavailable
from clv.masking import logged_id
from clv.outcomes import UNREADABLE, ExampleTopicEvent, ModelAnnounced, rfc3339
from clv.rules import DAY_MS
from clv.topics import TRAINING_EXAMPLES
from models.custom import installed_models
from models.maturity import in_order
from models.schedule import is_refit_due
from observability.serving import make_registry, served
from observability.trainer import TrainerMetrics
from storage.engine import Database
from storage.examples import count_examples
from storage.schema import upgrade
from streams.clients import aiokafka_settings
from streams.codecs import to_record
from streams.heartbeat import heartbeat
from streams.histories import stored_through_ms
from streams.maturity import MaturityMerge
from streams.store_retry import retry_store
from streams.succession import succeed
from streams.topics import ensure_topics
from streams.trainer_store import TrainerStore, learn, stored_examples
from streams.training import Publication

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from clv.outcomes import BudgetSignal, TrainingExample
    from clv.settings import Settings
    from streams.training import Training

log = structlog.get_logger(__name__)
_PATIENCE_SECONDS = 10.0
_POLL_MS = 200
_MAX_RECORDS = 5_000
_CLAIMS = 5
_NEVER_MS = 2**62
_decode = msgspec.json.Decoder(ExampleTopicEvent).decode


class ExamplesConsumer(Protocol):
    """What the trainer needs of ``aiokafka.AIOKafkaConsumer``; see there for each method."""

    def assign(self, partitions: list[TopicPartition]) -> None:
        """Read these partitions and no others."""
        ...

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Read on from this offset."""
        ...

    async def getmany(self, *, timeout_ms: int, max_records: int) -> Mapping[TopicPartition, Sequence[Any]]:
        """Return records by partition, in offset order; waits only when there are none."""
        ...


class AnnouncingProducer(Protocol):
    """What announcing needs of ``aiokafka.AIOKafkaProducer``."""

    async def send_and_wait(
        self, topic: str, value: bytes | None, *, key: bytes | None, partition: int, headers: list[tuple[str, bytes]]
    ) -> object:
        """Send a record and wait until it is durable."""
        ...


class Trainer:
    """The trainer's loop over what has matured: ``begin`` once, then ``step`` again and again, from one task.

    Parameters
    ----------
    settings
        The deployment's settings.
    store
        What the trainer keeps, in a migrated database.
    consumer, producer
        Started; the consumer commits nothing.
    topic_id
        Identity of the examples topic.
    stop
        When set, a wait for the database ends with ``StoreUnavailable``.
    metrics
        Where steps and models are noted; by default in figures that nobody reads.
    """

    def __init__(  # noqa: PLR0913 - the composition root names each part
        self,
        settings: Settings,
        store: TrainerStore,
        *,
        consumer: ExamplesConsumer,
        producer: AnnouncingProducer,
        topic_id: str,
        stop: asyncio.Event,
        metrics: TrainerMetrics | None = None,
    ) -> None:
        self._settings = settings
        self._metrics = metrics or TrainerMetrics()
        self._store = store
        self._consumer = consumer
        self._producer = producer
        self._topic_id = topic_id
        self._stop = stop
        self._id = uuid.uuid4().hex
        self._merge = MaturityMerge({}, {}, -1)
        self._waiting_since = 0.0

    async def begin(self) -> None:
        """Claim the role, and go on from what is stored.

        Raises
        ------
        StoreUnavailable
            When ``stop`` was set while the database was unavailable.
        """
        await retry_store(self._stop, self._claim)
        await self._resume()

    async def step(self) -> None:
        """Read what there is; once all partitions have come into another day, learn it, store, and announce.

        Raises
        ------
        StoreConflict
            When another trainer has claimed the role.
        StoreUnavailable
            When ``stop`` was set while the database was unavailable.
        """
        fetched = await self._consumer.getmany(timeout_ms=_POLL_MS, max_records=_MAX_RECORDS)
        for place, records in fetched.items():
            for record in records:
                self._take(place.partition, record)
        merge = self._merge
        if merge.slowest_ms() // DAY_MS <= merge.through_ms // DAY_MS:
            return
        if await self._waits_for_states(merge.slowest_ms()):
            return
        examples = merge.release()
        try:
            published = await retry_store(self._stop, self._timed_work, examples)
        except StoreConflict as problem:
            log.info("reading the trainer's state again", problem=str(problem))
            await retry_store(self._stop, self._reload)
            await self._resume()
            return
        await announce(self._producer, published.events)
        models = sum(isinstance(event, ModelAnnounced) for event in published.events)
        self._metrics.models_announced.inc(models)
        self._metrics.budgets_announced.inc(len(published.events) - models)

    async def _waits_for_states(self, now_ms: int) -> bool:
        """Tell whether a refit is due whose states the sink has not stored yet; it is a little behind as a rule."""
        if not is_refit_due(self._store.state(), now_ms, refit_days=self._settings.refit_days):
            return False
        stored_ms = await retry_store(self._stop, stored_through_ms, self._store.database, self._settings)
        now = asyncio.get_running_loop().time()
        if stored_ms >= now_ms:
            self._waiting_since = 0.0
            return False
        self._waiting_since = self._waiting_since or now
        if now - self._waiting_since >= _PATIENCE_SECONDS:
            self._waiting_since = now
            log.warning(
                "a refit waits for the sink to store the customers' states",
                stored_through=rfc3339(stored_ms),
                needed_through=rfc3339(now_ms),
            )
        return True

    @retry(retry=retry_if_exception_type(StoreConflict), stop=stop_after_attempt(_CLAIMS), reraise=True)
    def _claim(self) -> None:
        """Make this the trainer; whoever was it finds out at its next save."""
        store = self._store
        store.load()
        is_other_topic = store.incarnation not in {"", self._topic_id}
        if is_other_topic:
            log.warning("examples topic was recreated, reading from SQL what it has lost", topic_id=self._topic_id)
        training = store.training()
        training.state.trainer = self._id
        training.state.is_refilling |= is_other_topic
        self._note_models(training)
        offsets = store.offsets if store.incarnation == self._topic_id else {}
        store.save(training, Publication([], []), offsets=offsets, incarnation=self._topic_id)

    async def figures(self) -> dict[str, str]:
        """Return how far it has learned, for its heartbeat."""
        return {"learned_through": rfc3339(self._merge.through_ms)}

    def _reload(self) -> None:
        self._store.load()
        if self._store.state().trainer != self._id:
            raise StoreConflict("another trainer has taken over", "run one: `clv trainer` or `clv up`")

    async def _resume(self) -> None:
        """Read on from where the stored state stands, and repeat its announcements: nobody may have sent them."""
        state = self._store.state()
        watermarks = {p: state.watermarks.get(p, -1) for p in range(self._settings.partitions)}
        self._merge = MaturityMerge(watermarks, self._store.offsets, state.through_ms)
        places = {p: TopicPartition(TRAINING_EXAMPLES, p) for p in watermarks}
        self._consumer.assign(list(places.values()))
        for partition, offset in self._merge.offsets().items():
            self._consumer.seek(places[partition], offset)
        await announce(self._producer, state.outbox)

    def _take(self, partition: int, record: Any) -> None:
        try:
            self._merge.add(partition, record.offset, _decode(record.value or b""))
        except UNREADABLE as problem:
            # The sink, which reads the same topic, makes a dead letter of it.
            self._metrics.unreadable.inc()
            log.error(  # noqa: TRY400  # the traceback says nothing more
                "example cannot be read",
                topic=TRAINING_EXAMPLES,
                partition=partition,
                offset=record.offset,
                event_id=logged_id(record.headers),
                problem=type(problem).__name__,
            )

    def _timed_work(self, examples: Sequence[TrainingExample]) -> Publication:
        with self._metrics.step():
            return self._work(examples)

    def _work(self, examples: Sequence[TrainingExample]) -> Publication:
        """Learn and save in one thread; whatever fails, a repetition begins with what is stored."""
        merge = self._merge
        training = self._store.training()
        state, learner = training.state, training.learner
        learned_count, alarms = learner.learned_count, set(learner.drift.alarms)
        if state.is_refilling:
            stored = stored_examples(self._store.database, state.through_ms, merge.through_ms)
            examples = in_order(examples, stored)
            is_more = count_examples(self._store.database, matured_from_ms=merge.through_ms, matured_to_ms=_NEVER_MS)
            state.is_refilling = bool(is_more)
        learn(training, examples)
        published = training.step(merge.through_ms)
        state.watermarks, state.through_ms = merge.safe_watermarks(), merge.through_ms
        self._store.save(training, published, offsets=merge.offsets())
        self._metrics.learned.inc(learner.learned_count - learned_count)
        for alarm in learner.drift.alarms:
            if alarm not in alarms:
                self._metrics.alarms.labels(alarm.detector).inc()
        if published.switch:
            self._metrics.switches.labels(published.switch.cause).inc()
        self._note_models(training)
        return published

    def _note_models(self, training: Training) -> None:
        learner = training.learner
        self._metrics.champion = learner.champion
        self._metrics.relative_errors = learner.relative_errors()
        self._metrics.ratios = {name: figures.ratio for name, figures in learner.metrics().items()}
        if training.state.through_ms >= 0:
            self._metrics.learned_through.set(training.state.through_ms / 1_000)


async def announce(producer: AnnouncingProducer, events: Iterable[ModelAnnounced | BudgetSignal]) -> None:
    """Send announcements in order, each durable before the next; repeating them does no harm."""
    for event in events:
        record = to_record(event)
        await producer.send_and_wait(record.topic, record.value, key=record.key, headers=record.headers, partition=0)
        log.debug("announced", topic=record.topic, event_id=event.event_id)


async def run_trainer(settings: Settings, stop: asyncio.Event) -> None:
    """Run the trainer role until ``stop`` is set.

    Raises
    ------
    StoreConflict
        Another trainer has claimed the role.
    BrokerError
        The broker is gone, or refuses; the next start goes on.
    """
    ids = await ensure_topics(settings)
    database = Database(settings.sql_url)
    metrics = TrainerMetrics(make_registry("trainer"))
    try:
        with served(settings, metrics.registry):
            await retry_store(stop, upgrade, settings.sql_url)
            store = TrainerStore(settings, database, installed_models())
            await succeed(settings, store, stop)
            await _learn(settings, store, ids[TRAINING_EXAMPLES], stop, metrics)
    except StoreUnavailable:
        # Once told to stop, nobody waits for a database.
        if not stop.is_set():
            raise
    except KafkaError as problem:
        raise BrokerError(f"the broker refuses the trainer: {type(problem).__name__}: {problem}") from problem
    finally:
        database.close()


async def _learn(
    settings: Settings, store: TrainerStore, topic_id: str, stop: asyncio.Event, metrics: TrainerMetrics
) -> None:
    clients = aiokafka_settings(settings)
    consumer = AIOKafkaConsumer(
        isolation_level="read_committed", enable_auto_commit=False, auto_offset_reset="earliest", **clients
    )
    producer = AIOKafkaProducer(acks="all", **clients)
    await consumer.start()
    try:
        await producer.start()
        try:
            trainer = Trainer(
                settings, store, consumer=consumer, producer=producer, topic_id=topic_id, stop=stop, metrics=metrics
            )
            await trainer.begin()
            async with heartbeat(store.database, "trainer", trainer.figures):
                while not stop.is_set():
                    await trainer.step()
        finally:
            await producer.stop()
    finally:
        await consumer.stop()
