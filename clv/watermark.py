"""Event time of a partition: moved by records and Ticks only, guarded against wrong years.

``front_ms`` is the latest accepted moment, the watermark lies the allowed lateness behind it. An event more than
``far_ahead_ms`` beyond the front waits until five other customers or a Tick agree that time has come so far.
"""

from __future__ import annotations

import msgspec

from clv.rules import AGREEING_CUSTOMERS, Rules

MAX_WAITING = 64
MAX_WAITING_BYTES = 262_144
PATIENCE_RECORDS = 1_000
NO_TIME_MS = -(2**62)
"""The watermark before anything has been seen."""


class Waiting(msgspec.Struct, array_like=True):
    """A record held back: its event's time and customer, its bytes and position, records received before it."""

    at_ms: int
    customer_id: str
    key: bytes | None
    value: bytes
    offset: int
    received: int


class Counts(msgspec.Struct, array_like=True):
    """A partition's totals since it was created; every record is received, and ends in exactly one of the others.

    ``late`` is a part of ``applied``; ``waiting`` is what is held back at the moment; ``rescored`` counts what asked
    for a score, whether or not there was a customer to score.
    """

    received: int = 0
    applied: int = 0
    duplicate: int = 0
    late: int = 0
    dead: int = 0
    erased: int = 0
    ticks: int = 0
    rescored: int = 0


class Adoption(msgspec.Struct, array_like=True, frozen=True):
    """From this source offset on, models and policies published up to ``sequence`` are in force."""

    from_offset: int
    sequence: int


class PartitionState(msgspec.Struct, array_like=True):
    """What the table holds for a partition beside its customers; changelogged with them.

    ``progress_day`` is the last event-day for which a ``WatermarkPassed`` went out.
    """

    front_ms: int = NO_TIME_MS
    applied_offset: int = -1
    topic_id: str = ""
    progress_day: int = NO_TIME_MS
    counts: Counts = msgspec.field(default_factory=Counts)
    waiting: list[Waiting] = []
    adoptions: list[Adoption] = []

    def watermark_ms(self, rules: Rules) -> int:
        """Return the event time before which no more events are expected."""
        return self.front_ms - rules.lateness_ms if self.front_ms > NO_TIME_MS else NO_TIME_MS


def is_far_ahead(partition: PartitionState, at_ms: int, rules: Rules) -> bool:
    """Tell whether an event would move time further than one customer may; the first event of all may."""
    return partition.front_ms > NO_TIME_MS and at_ms > partition.front_ms + rules.far_ahead_ms


def hold(partition: PartitionState, record: Waiting) -> list[Waiting]:
    """Hold a record back; return those that must give way (oldest first) to keep the memory bounded."""
    waiting = partition.waiting
    waiting.append(record)
    given_up = []
    while len(waiting) > MAX_WAITING or sum(len(w.value) for w in waiting) > MAX_WAITING_BYTES:
        given_up.append(waiting.pop(0))
    return given_up


def expired(partition: PartitionState) -> list[Waiting]:
    """Take out and return the records that nobody has agreed with for ``PATIENCE_RECORDS`` records."""
    limit = partition.counts.received - PATIENCE_RECORDS
    gone = [w for w in partition.waiting if w.received < limit]
    if gone:
        partition.waiting = [w for w in partition.waiting if w.received >= limit]
    return gone


def agreed(partition: PartitionState, rules: Rules) -> list[Waiting]:
    """Take out and return, in event time, the records on whose time enough customers agree.

    A record is released when at least five other customers wait at times no more than ``far_ahead_ms`` before it
    or later; with it goes all that is no longer far ahead.
    """
    waiting = sorted(partition.waiting, key=lambda w: (w.at_ms, w.offset))
    for record in waiting:
        others = {
            w.customer_id
            for w in waiting
            if w.at_ms >= record.at_ms - rules.far_ahead_ms and w.customer_id != record.customer_id
        }
        if len(others) >= AGREEING_CUSTOMERS:
            return _release(partition, record.at_ms, rules)
    return []


def tick(partition: PartitionState, as_of_ms: int, rules: Rules) -> tuple[list[Waiting], list[Waiting]]:
    """Return the records that a Tick releases, in event time, and those that it contradicts; the caller moves time.

    A Tick from behind the front says nothing about what waits: it is a repeated one, or overtaken.
    """
    if as_of_ms < partition.front_ms:
        return [], []
    released = _release(partition, as_of_ms, rules)
    contradicted = partition.waiting
    partition.waiting = []
    return released, contradicted


def _release(partition: PartitionState, front_ms: int, rules: Rules) -> list[Waiting]:
    """Take out all that is not far ahead of a front, nor of what is released with it."""
    released: list[Waiting] = []
    for record in sorted(partition.waiting, key=lambda w: (w.at_ms, w.offset)):
        if record.at_ms > front_ms + rules.far_ahead_ms:
            break
        released.append(record)
        front_ms = max(front_ms, record.at_ms)
    offsets = {w.offset for w in released}
    partition.waiting = [w for w in partition.waiting if w.offset not in offsets]
    return released
