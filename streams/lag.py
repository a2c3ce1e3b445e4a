"""How far each role is behind: orders not yet applied, outputs not yet stored, event-days not yet learned."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec
from aiokafka import TopicPartition

from clv.rules import DAY_MS
from clv.topics import ORDERS, changelog_topic
from storage.learning import load_learner
from storage.overview import partition_progress
from storage.sinking import load_positions
from streams.ends import end_offsets
from streams.sink_batches import OUTPUT_TOPICS
from streams.topics import partition_count, specs, topic_ids
from streams.trainer_store import NAME
from streams.training import TrainerState

if TYPE_CHECKING:
    from clv.settings import Settings
    from storage.engine import Database


class Lag(NamedTuple):
    """Orders that SQL does not show yet, outputs and states not stored there, event-days not learned."""

    orders: int
    outputs: int
    days: int

    @property
    def is_none(self) -> bool:
        """Whether everyone has caught up."""
        return not any(self)


async def measure_lag(settings: Settings, database: Database) -> Lag:
    """Compare the broker's ends with what SQL holds.

    Workers report their position with each event-day and Tick, so ``orders`` falls in steps and reaches 0 only after
    a Tick, as a replay writes at its end.
    """
    names = {spec.name: partition_count(spec, settings) for spec in specs(settings)}
    ends = await end_offsets(settings, [TopicPartition(name, p) for name, count in names.items() for p in range(count)])
    ids = await topic_ids(settings)
    applied = {
        (ORDERS, number): place.applied_offset + 1
        for number, place in partition_progress(database).items()
        if place.incarnation == ids.get(ORDERS)
    }
    kept = (*OUTPUT_TOPICS, changelog_topic(settings.group))
    stored = {
        place: position.next_offset
        for place, position in load_positions(database, kept).items()
        if position.incarnation == ids.get(place[0])
    }
    orders = sum(end - applied.get(tuple(p), 0) for p, end in ends.items() if p.topic == ORDERS)
    outputs = sum(end - stored.get(tuple(p), 0) for p, end in ends.items() if p.topic in kept)
    return Lag(max(orders, 0), max(outputs, 0), _days_to_learn(database, settings))


def _days_to_learn(database: Database, settings: Settings) -> int:
    progress = partition_progress(database)
    if len(progress) < settings.partitions:
        return 0 if not progress else 1
    slowest = min(p.watermark_ms for p in progress.values())
    saved = load_learner(database, NAME).state
    through_ms = msgspec.json.decode(saved, type=TrainerState).through_ms if saved else -1
    return max(slowest // DAY_MS - through_ms // DAY_MS, 0)
