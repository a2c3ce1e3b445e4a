"""Two workers at one partition: how the one that was frozen, or cut off, finds out, and what it wrote is mended.

Kafka takes a worker's partitions away when it has not been heard of for the session timeout; it may go on for a moment
when it comes back. Three things together keep what it does from counting (docs/decisions/0003):

- before it sends anything a worker looks whether the group still knows it (``Membership``);
- whoever writes to the changelog sees by the offsets of its own rows whether anybody else has written in between, and
  stops if that was somebody further on, or writes its own rows again over older ones (``ChangelogFence``);
- whoever reads the changelog lets no older row replace a newer one (``streams.store``).
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Protocol

import aiokafka
import structlog

from clv.errors import BrokerError
from streams.clients import aiokafka_settings
from streams.rows import PARTITION_KEY, is_older

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from clv.settings import Settings

log = structlog.get_logger(__name__)
_LOOK_SECONDS = 0.05
Rows = list[tuple[bytes, bytes | None]]


class Superseded(BrokerError):
    """Another worker has taken this one's partitions over; only a restart helps."""

    reason = "superseded"


class Membership(Protocol):
    """What the group thinks of this worker."""

    def is_certain(self) -> bool:
        """Tell whether the group has heard of us within the session timeout: nobody else has our partitions."""
        ...

    def is_lost(self) -> bool:
        """Tell whether the group has put us out."""
        ...


class Member(aiokafka.AIOKafkaConsumer):
    """A consumer that notes when its last successful heartbeat was sent; satisfies ``Membership``."""

    _heard_at = float("-inf")
    _session_seconds = 0.0

    async def start(self) -> None:
        """Start, and listen in on the heartbeats."""
        await super().start()
        beat = self._coordinator._do_heartbeat  # noqa: SLF001 - pinned by tests/contract/test_faust.py
        self._session_seconds = self._coordinator._session_timeout_ms / 1000  # noqa: SLF001 - as above

        async def noted() -> bool:
            """Beat, and note when that was if the group still knows us."""
            sent_at = _now()
            is_known: bool = await beat()
            if is_known:
                self._heard_at = sent_at
            return is_known

        self._coordinator._do_heartbeat = noted  # noqa: SLF001 - as above

    async def seek_to_committed(
        self, *partitions: aiokafka.TopicPartition
    ) -> dict[aiokafka.TopicPartition, int | None]:
        """Seek as aiokafka does, but in the middle of a rebalance, with nothing assigned, seek nothing."""
        if not partitions and not self.assignment():
            return {}
        found: dict[aiokafka.TopicPartition, int | None] = await super().seek_to_committed(*partitions)
        return found

    def note_assignment(self) -> None:
        """Note that the group has just given us partitions."""
        self._heard_at = _now()

    def is_certain(self) -> bool:
        """Tell whether the group has heard of us within the session timeout."""
        return _now() - self._heard_at < self._session_seconds

    def is_lost(self) -> bool:
        """Tell whether the group has put us out: there is no generation any more."""
        return bool(self._coordinator.generation < 0)


async def wait_for_certainty(membership: Membership) -> None:
    """Return once nobody else can have our partitions; at once as a rule.

    Raises
    ------
    Superseded
        When the group has put us out.
    """
    while not membership.is_certain():
        if membership.is_lost():
            raise Superseded("the group has given this worker's partitions to another", "it goes on with a restart")
        await asyncio.sleep(_LOOK_SECONDS)


class ChangelogFence:
    """Watches over one partition of the changelog, whose only writer we should be.

    Parameters
    ----------
    held
        Returns our durable row of a key.
    read
        Reads the changelog's rows from an offset up to another.
    next_offset
        Where our next row should come to lie; None where that is not known.
    remains
        Returns our durable row of what remains of a key's customer after an erasure.
    """

    def __init__(
        self,
        held: Callable[[bytes], bytes | None],
        read: Callable[[int, int], Awaitable[Rows]],
        next_offset: int | None,
        remains: Callable[[bytes], bytes | None] = lambda _: None,
    ) -> None:
        self._held = held
        self._remains = remains
        self._read = read
        self._next = next_offset
        self._foreign: Rows = []

    def is_behind(self, end: int) -> bool:
        """Tell whether a changelog that ends here has grown beyond our last row."""
        return self._next is not None and end > self._next

    async def note(self, places: Iterable[tuple[int, int]], written: Mapping[bytes, bytes | None]) -> None:
        """Note where our rows came to lie, as pairs of first offset and count; read what lies in between.

        Raises
        ------
        Superseded
            When somebody else has written there who is further on than we are.
        """
        for first, count in sorted(places):
            if self._next is not None and first > self._next:
                self._foreign += await self._read(self._next, first)
            self._next = first + count
        if not self._foreign:
            return
        ours = written.get(PARTITION_KEY) or self._held(PARTITION_KEY)
        for key, row in self._foreign:
            if key == PARTITION_KEY and row is not None and ours is not None and is_older(key, ours, row):
                raise Superseded("another worker has written to this partition's changelog, and is further on")

    def to_repeat(self) -> dict[bytes, bytes | None]:
        """Return our rows over which somebody else has written older ones; call it once our last write is settled."""
        stale: dict[bytes, bytes | None] = {}
        for key, row in self._foreign:
            ours = self._held(key)
            known = ours or self._remains(key)
            if row is not None and known is not None and is_older(key, row, known):
                stale[key] = ours
        if self._foreign:
            log.warning("somebody else wrote to the changelog", rows=len(self._foreign), written_again=len(stale))
        self._foreign = []
        if PARTITION_KEY in stale:  # says that the others are there, so it comes last
            stale[PARTITION_KEY] = stale.pop(PARTITION_KEY)
        return stale


async def read_rows(settings: Settings, place: Any, first: int, end: int) -> Rows:
    """Read a changelog's rows from an offset up to another, which exists."""
    consumer = aiokafka.AIOKafkaConsumer(enable_auto_commit=False, **aiokafka_settings(settings))
    await consumer.start()
    try:
        consumer.assign([place])
        consumer.seek(place, first)
        rows: Rows = []
        while await consumer.position(place) < end:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                rows += [(record.key, record.value) for record in records if record.offset < end]
        return rows
    finally:
        await consumer.stop()


def _now() -> float:
    """Return seconds on a clock that goes on while the machine is suspended, where there is one."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
