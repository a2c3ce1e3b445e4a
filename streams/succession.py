"""A trainer whose database was lost or restored: what it learns again comes behind what had been announced.

Workers adopt nothing that is numbered lower than what they have adopted; so the topics say from where to count on. Who
has what share of the budget is not proposed again either, unless it has moved since.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from clv.errors import StoreConflict
from clv.outcomes import UNREADABLE, BudgetSignal, ModelAnnounced
from clv.published import POLICY_NAME, SCORER_NAME, sequence_of
from clv.topics import BUDGET_SIGNALS, MODELS, changelog_topic
from storage.sinking import load_positions
from streams.clients import aiokafka_settings
from streams.ends import end_offsets
from streams.sink_batches import OUTPUT_TOPICS
from streams.store_retry import retry_store
from streams.topics import partition_count, specs
from streams.training import Publication

if TYPE_CHECKING:
    from collections.abc import Iterable

    from clv.outcomes import SegmentSignal
    from clv.settings import Settings
    from storage.engine import Database
    from streams.trainer_store import TrainerStore

log = structlog.get_logger(__name__)
_POLL_SECONDS = 0.5
_SAY_EVERY = 20


class Predecessor(NamedTuple):
    """What the topics say of the trainer before: the last sequence it gave out, the last budget it proposed."""

    sequence: int
    signals: list[SegmentSignal]


def predecessor(announcements: Iterable[bytes | None], proposals: Iterable[bytes | None]) -> Predecessor:
    """Read both topics' records, in order; what cannot be read announces nothing."""
    sequences = [
        sequence_of(announced.version)
        for announced in _decoded(announcements, ModelAnnounced)
        if announced.name in (SCORER_NAME, POLICY_NAME)
    ]
    signals = list(_decoded(proposals, BudgetSignal))
    last = [signal.signal for signal in signals if signal.proposal_id == signals[-1].proposal_id]
    return Predecessor(max(sequences, default=0), list({signal.segment: signal for signal in last}.values()))


async def succeed(settings: Settings, store: TrainerStore, stop: asyncio.Event) -> None:
    """Where the topics are ahead of SQL's trainer: wait until the sink has stored them, and count on from there.

    Raises
    ------
    StoreUnavailable
        When ``stop`` was set while the database was unavailable.
    """
    found = predecessor(await _values(settings, MODELS), await _values(settings, BUDGET_SIGNALS))
    await retry_store(stop, store.load)
    behind = store.training().learner.sequence
    if found.sequence <= behind:
        return
    log.warning("the database was lost or restored: learning again", stored=behind, announced=found.sequence)
    await _await_sink(settings, store.database, stop)
    if not stop.is_set():
        await retry_store(stop, _begin, store, found)


def _begin(store: TrainerStore, found: Predecessor) -> None:
    training = store.training()
    training.learner.count_on(found.sequence)
    training.state.learner = training.learner.to_state()
    training.state.signals = found.signals
    training.state.outbox = []  # what was the last once must not come after what has been announced since
    try:
        store.save(training, Publication([], []))
    except StoreConflict:
        log.info("another trainer has begun")


async def _await_sink(settings: Settings, database: Database, stop: asyncio.Event) -> None:
    """Wait until SQL has what the topics hold now: cut-offs and fits are made from all customers, not the first."""
    kept = (*OUTPUT_TOPICS, changelog_topic(settings.group))
    counts = {spec.name: partition_count(spec, settings) for spec in specs(settings)}
    places = [TopicPartition(topic, number) for topic in kept for number in range(counts[topic])]
    ends = await end_offsets(settings, places)
    asked = 0
    while not stop.is_set():
        stored = await retry_store(stop, load_positions, database, kept)
        left = sum(max(end - (stored[place].next_offset if place in stored else 0), 0) for place, end in ends.items())
        if not left:
            return
        if asked % _SAY_EVERY == 0:
            log.info("learning anew waits for the sink", records=left)
        asked += 1
        await asyncio.sleep(_POLL_SECONDS)


async def _values(settings: Settings, topic: str) -> list[bytes | None]:
    place = TopicPartition(topic, 0)
    end = (await end_offsets(settings, [place]))[place]
    consumer = AIOKafkaConsumer(
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        **aiokafka_settings(settings),
    )
    await consumer.start()
    try:
        consumer.assign([place])
        values: list[bytes | None] = []
        while await consumer.position(place) < end:
            found = await consumer.getmany(timeout_ms=500)
            values += [record.value for records in found.values() for record in records]
        return values
    finally:
        await consumer.stop()


def _decoded(values: Iterable[bytes | None], kind: type[Any]) -> list[Any]:
    found = []
    for value in values:
        try:
            found.append(msgspec.json.decode(value or b"", type=kind))
        except UNREADABLE:
            continue  # the sink, which reads the same topic, makes a dead letter of it
    return found
