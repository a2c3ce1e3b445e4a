"""What the worker watches beside the records: idle partitions, stuck ones, and a topic made anew behind its back."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import msgspec
import structlog
from aiokafka.errors import ConsumerStoppedError, KafkaError
from faust.types import TP

from clv.errors import BrokerError
from clv.events import SCHEMA_VERSION
from clv.outcomes import event_id, rfc3339
from clv.rules import Rules
from clv.topics import ORDERS, changelog_topic
from clv.watermark import NO_TIME_MS, PartitionState
from streams.broker import capabilities
from streams.topics import topic_ids

if TYPE_CHECKING:
    from aiokafka import AIOKafkaProducer

log = structlog.get_logger(__name__)
LOOK_SECONDS = 5.0
IDLE_SECONDS = 60.0
STUCK_SECONDS = 60.0


class StuckPartition(BrokerError):
    """A partition has records that are never fetched or never finish; only a restart helps."""

    reason = "stuck_partition"


class TopicRecreated(BrokerError):
    """The orders topic was deleted and made again; a restart begins its new life at offset 0."""

    reason = "topic_recreated"


class Progress:
    """When each partition last moved."""

    def __init__(self) -> None:
        self._seen: dict[int, tuple[int, float]] = {}

    def moved_seconds_ago(self, now: float) -> float:
        """Return when any partition was last seen to move; 0 before any was looked at."""
        return now - max((at for _, at in self._seen.values()), default=now)

    def still_seconds(self, partition: int, position: int, now: float) -> float:
        """Note a partition's position; return for how long it has not changed."""
        held = self._seen.get(partition)
        if held is None or held[0] != position:
            self._seen[partition] = (position, now)
            return 0.0
        return now - held[1]


def idle_tick_ms(state: PartitionState, now_ms: int, rules: Rules) -> int | None:
    """Return the moment of the Tick that an idle partition's owner writes, None where it must not write any.

    Time may move to now only from close by: in a replayed log, now is years away. Records that wait for agreement
    and lie in the past are agreed with.
    """
    if state.front_ms <= NO_TIME_MS:
        return None
    if state.front_ms < now_ms <= state.front_ms + rules.far_ahead_ms:
        return now_ms
    past = [w.at_ms for w in state.waiting if w.at_ms <= now_ms]
    return max(past) if past else None


async def watch(app: Any, producer: AIOKafkaProducer) -> None:
    """Look after the worker's partitions until cancelled.

    Raises
    ------
    StuckPartition, TopicRecreated
        To end the process.
    """
    rules = Rules.from_settings(app.settings)
    acked, idle = Progress(), Progress()
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        await _check_identity(app)
        if app.in_recovery or app.rebalancing or not app.runner:
            # What stood still meanwhile was not idle, and not stuck.
            acked, idle = Progress(), Progress()
            continue
        await _look_at_changelogs(app)
        now = time.monotonic()
        for tp in sorted(tp for tp in app.consumer.assignment() if tp.topic == ORDERS):
            await check_stuck(app.consumer, tp, acked, now)
            if app.in_recovery or app.rebalancing:
                # Begun while we asked the broker. A processor made now would stand on rows half recovered.
                break
            state = app.runner.processor(tp.partition).state
            still = idle.still_seconds(tp.partition, state.applied_offset, now)
            as_of_ms = idle_tick_ms(state, int(time.time() * 1000), rules)
            if still >= IDLE_SECONDS and as_of_ms is not None:
                await producer.send_and_wait(ORDERS, _tick(tp.partition, as_of_ms), partition=tp.partition)


async def _check_identity(app: Any) -> None:
    try:
        found = (await topic_ids(app.settings)).get(ORDERS)
    except BrokerError as problem:
        log.warning("broker does not answer", problem=str(problem))
        return
    if found != app.topic_ids[ORDERS]:
        raise TopicRecreated(f"{ORDERS} is now {found}, was {app.topic_ids[ORDERS]}")


async def _look_at_changelogs(app: Any) -> None:
    """Look whether anybody else writes to the changelogs of our partitions; busy ones see it by themselves."""
    changelog = changelog_topic(app.settings.group)
    places = [TP(changelog, tp.partition) for tp in app.consumer.assignment() if tp.topic == ORDERS]
    if not places or not capabilities(app.settings).has_transactions:
        return
    try:
        ends = await app.consumer.highwaters(*places)
    except (KafkaError, ConsumerStoppedError) as problem:
        log.warning("broker does not say where the changelog ends", problem=repr(problem))
        return
    for place in places:
        await app.runner.note_changelog_end(place.partition, ends[place])


async def check_stuck(consumer: Any, tp: Any, acked: Progress, now: float) -> None:
    """Look whether a partition's acknowledgements have stood still with something to do.

    Records handed over and not acknowledged are something to do, and so are records not fetched. That the last
    acknowledged offset lies before the end says nothing: transaction markers and compaction leave holes there.

    Raises
    ------
    StuckPartition
        After ``STUCK_SECONDS``.
    """
    position = consumer.acked_to(tp)
    still = acked.still_seconds(tp.partition, position, now)
    if still < STUCK_SECONDS or acked.moved_seconds_ago(now) < STUCK_SECONDS:
        # While another partition moves, the worker is busy with that one.
        return
    # Asked of the broker: what the last fetch said is no news where nothing is fetched any more.
    try:
        end = (await consumer.highwaters(tp)).get(tp)
    except (KafkaError, ConsumerStoppedError) as problem:
        log.warning("broker does not say where the partition ends", partition=tp.partition, problem=repr(problem))
        return
    if end is None or position >= end:
        return
    fetched = await consumer.position(tp)
    if any(message.tp == tp for message in consumer.unacked) or fetched is None or fetched < end:
        raise StuckPartition(f"partition {tp.partition} stands at {position} of {end} for {still:.0f} s")


def _tick(partition: int, as_of_ms: int) -> bytes:
    body = {
        "type": "Tick",
        "event_id": event_id("tick", partition, as_of_ms),
        "as_of": rfc3339(as_of_ms),
        "schema_version": SCHEMA_VERSION,
    }
    return msgspec.json.encode(body)
