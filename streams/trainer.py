"""The trainer role: one process that learns every matured example once and publishes what workers score with.

Its state, its offsets and what it publishes go into SQL in one transaction; announcements follow, and are repeated
after a restart. A second trainer is stopped by the store.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from clv.errors import FeatureMismatch
from clv.outcomes import ExampleTopicEvent, TrainingExample
from clv.rules import DAY_MS
from clv.topics import TRAINING_EXAMPLES
from storage.engine import Database
from storage.learning import LearnerState, Metrics, load_learner, save_learner
from storage.schema import upgrade
from streams.clients import aiokafka_settings
from streams.codecs import to_record
from streams.maturity import MaturityMerge
from streams.store_retry import retry_store
from streams.topics import ensure_topics
from streams.training import Publication, TrainerState, Training

if TYPE_CHECKING:
    import asyncio

    from clv.settings import Settings

log = structlog.get_logger(__name__)
NAME = "trainer"
_POLL_MS = 200
_MAX_RECORDS = 5_000
_decode = msgspec.json.Decoder(ExampleTopicEvent).decode


class Trainer:
    """The trainer's loop over what has matured.

    Parameters
    ----------
    settings
        The deployment's settings.
    database
        The SQL store, migrated.
    stop
        Ends the loop when set.
    """

    def __init__(self, settings: Settings, database: Database, stop: asyncio.Event) -> None:
        self._settings = settings
        self._database = database
        self._stop = stop
        self._saved = LearnerState()

    async def run(self) -> None:
        """Learn and publish until told to stop.

        Raises
        ------
        StoreConflict
            Another trainer has saved: there may be only one.
        """
        ids = await ensure_topics(self._settings)
        await retry_store(self._stop, upgrade, self._settings.sql_url)
        training, merge = await self._load(ids[TRAINING_EXAMPLES])
        clients = aiokafka_settings(self._settings)
        consumer = AIOKafkaConsumer(
            isolation_level="read_committed", enable_auto_commit=False, auto_offset_reset="earliest", **clients
        )
        producer = AIOKafkaProducer(acks="all", **clients)
        await consumer.start()
        await producer.start()
        try:
            await self._announce(producer, Publication([], training.state.outbox))
            await self._learn(consumer, producer, training, merge)
        finally:
            await consumer.stop()
            await producer.stop()

    async def _load(self, incarnation: str) -> tuple[Training, MaturityMerge]:
        self._saved = await retry_store(self._stop, load_learner, self._database, NAME)
        if self._saved.incarnation != incarnation:
            if self._saved.incarnation:
                log.warning("examples topic was recreated", topic_id=incarnation)
            self._saved = replace(self._saved, incarnation=incarnation, offsets={})
        state = msgspec.json.decode(self._saved.state, type=TrainerState) if self._saved.state else TrainerState()
        partitions = range(self._settings.partitions)
        watermarks = {p: state.watermarks.get(p, -1) for p in partitions}
        merge = MaturityMerge(watermarks, self._saved.offsets, state.through_ms)
        return Training(self._settings, self._database, state), merge

    async def _learn(
        self, consumer: AIOKafkaConsumer, producer: AIOKafkaProducer, training: Training, merge: MaturityMerge
    ) -> None:
        places = [TopicPartition(TRAINING_EXAMPLES, p) for p in merge.watermarks]
        consumer.assign(places)
        for place, offset in merge.offsets().items():
            consumer.seek(places[place], offset)
        while not self._stop.is_set():
            fetched = await consumer.getmany(timeout_ms=_POLL_MS, max_records=_MAX_RECORDS)
            for place, records in fetched.items():
                for record in records:
                    merge.add(place.partition, record.offset, _decode(record.value))
            day_before = merge.through_ms // DAY_MS
            if merge.slowest_ms() // DAY_MS > day_before:
                examples = merge.release()
                published = await retry_store(self._stop, self._work, training, merge, examples)
                await self._announce(producer, published)

    def _work(self, training: Training, merge: MaturityMerge, examples: list[TrainingExample]) -> Publication:
        """Learn and save in one thread; repeated after ``StoreUnavailable``, it learns nothing twice."""
        while examples:
            try:
                training.learner.learn(examples.pop(0))
            except FeatureMismatch as problem:
                log.warning("example not learned", problem=str(problem))
        published = training.step(merge.through_ms)
        state = training.state
        state.watermarks, state.through_ms = dict(merge.watermarks), merge.through_ms
        figures = {
            name: Metrics(merge.through_ms, msgspec.structs.asdict(metrics))
            for name, metrics in training.learner.metrics().items()
        }
        changed = replace(self._saved, state=msgspec.json.encode(state), offsets=merge.offsets())
        self._saved = save_learner(self._database, NAME, changed, artifacts=published.artifacts, metrics=figures)
        return published

    async def _announce(self, producer: AIOKafkaProducer, published: Publication) -> None:
        for event in published.events:
            record = to_record(event)
            await producer.send_and_wait(
                record.topic, record.value, key=record.key, headers=record.headers, partition=0
            )
            log.debug("announced", topic=record.topic, event_id=event.event_id)


async def run_trainer(settings: Settings, stop: asyncio.Event) -> None:
    """Run the trainer role until ``stop`` is set."""
    database = Database(settings.sql_url)
    try:
        await Trainer(settings, database, stop).run()
    finally:
        database.close()
