"""What the output topics hold, and what must be true of it whatever happened to the processes on the way."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from sqlalchemy import select

from clv.events import parse_time_ms
from clv.outcomes import ExampleTopicEvent, Score, SegmentChange, TrainingExample
from clv.topics import ORDERS, SCORES, SEGMENT_CHANGES, TRAINING_EXAMPLES
from storage import tables
from streams.clients import aiokafka_settings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from sqlalchemy import Column

    from clv.settings import Settings
    from storage.engine import Database

T = TypeVar("T")
E = TypeVar("E", Score, SegmentChange, TrainingExample)


class Outputs(NamedTuple):
    """Events by id, in the order of their partitions, and the event ids of the orders that they came from.

    ``repeats`` counts the records that repeated another, by topic.
    """

    scores: dict[str, Score]
    changes: dict[str, SegmentChange]
    examples: dict[str, TrainingExample]
    order_ids: set[str]
    repeats: Counter[str]


def read_topic(settings: Settings, topic: str) -> list[Any]:
    """Return all committed records of a topic, partition by partition."""

    async def read(consumer: AIOKafkaConsumer) -> list[Any]:
        places = [TopicPartition(topic, number) for number in range(settings.partitions)]
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        found: dict[TopicPartition, list[Any]] = {place: [] for place in places}
        while any([await consumer.position(place) < end for place, end in ends.items()]):
            for place, records in (await consumer.getmany(timeout_ms=500)).items():
                found[place] += records
        return [record for place in places for record in found[place]]

    return asyncio.run(_with_consumer(settings, read))


def order_ends(settings: Settings) -> dict[int, int]:
    """Return where each partition of the orders topic ends now."""

    async def ask(consumer: AIOKafkaConsumer) -> dict[int, int]:
        places = [TopicPartition(ORDERS, number) for number in range(settings.partitions)]
        return {place.partition: end for place, end in (await consumer.end_offsets(places)).items()}

    return asyncio.run(_with_consumer(settings, ask))


def read_outputs(settings: Settings) -> Outputs:
    """Read the output topics; a record that repeats an event id must repeat its content."""
    repeats: Counter[str] = Counter()

    def events(topic: str, kind: type[Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for record in read_topic(settings, topic):
            event = msgspec.json.decode(record.value, type=kind)
            assert found.setdefault(event.event_id, event) == event
            repeats[topic] += 1
        repeats[topic] -= len(found)
        return found

    scores = events(SCORES, Score)
    changes = events(SEGMENT_CHANGES, SegmentChange)
    matured = events(TRAINING_EXAMPLES, ExampleTopicEvent)  # type: ignore[arg-type]  # msgspec takes a union
    examples = {name: event for name, event in matured.items() if isinstance(event, TrainingExample)}
    return Outputs(scores, changes, examples, _order_ids(settings), repeats)


def check_outputs(outputs: Outputs) -> None:
    """Fail unless every order was scored once, by models of its past, and nothing is missing or extra.

    Every customer's segment changes must lead from one to the next, and a label must exist once.
    """
    assert Counter(s.cause for s in outputs.scores.values() if s.reason == "order") == Counter(outputs.order_ids)
    assert [s for s in outputs.scores.values() if not _is_of_its_past(s)] == []
    for changes in _by_customer(outputs.changes.values()).values():
        assert [c.from_segment for c in changes] == [None, *(c.to_segment for c in changes[:-1])]
    labels = Counter((e.customer_id, e.as_of, e.moment) for e in outputs.examples.values())
    assert [label for label, times in labels.items() if times > 1] == []


def check_sql(database: Database, outputs: Outputs) -> None:
    """Fail unless SQL holds exactly what the topics hold, and each customer's last score."""
    assert _stored(database, tables.scores.c.event_id) == set(outputs.scores)
    assert _stored(database, tables.segment_changes.c.event_id) == set(outputs.changes)
    assert _stored(database, tables.training_examples.c.event_id) == set(outputs.examples)
    last = {scores[-1].event_id for scores in _by_customer(outputs.scores.values()).values()}
    assert _stored(database, tables.customers.c.score_event_id) == last


def _order_ids(settings: Settings) -> set[str]:
    events = (msgspec.json.decode(record.value) for record in read_topic(settings, ORDERS))
    return {event["event_id"] for event in events if event["type"] == "OrderPlaced"}


def _is_of_its_past(score: Score) -> bool:
    learned_at = score.models.learned_through_at
    return not learned_at or parse_time_ms(learned_at) <= parse_time_ms(score.as_of)


def _by_customer(events: Iterable[E]) -> dict[str, list[E]]:
    found: dict[str, list[E]] = defaultdict(list)
    for event in events:
        found[event.customer_id].append(event)
    return found


def _stored(database: Database, column: Column[Any]) -> set[str]:
    with database.reading() as connection:
        return set(connection.execute(select(column)).scalars())


async def _with_consumer(settings: Settings, ask: Callable[[AIOKafkaConsumer], Awaitable[T]]) -> T:
    consumer = AIOKafkaConsumer(
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        **aiokafka_settings(settings),
    )
    await consumer.start()
    try:
        async with asyncio.timeout(60):
            return await ask(consumer)
    finally:
        await consumer.stop()
