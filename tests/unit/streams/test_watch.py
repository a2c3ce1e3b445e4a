"""Idle partitions get Ticks, stuck ones end the worker, quiet ones do neither."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

import pytest
from aiokafka.errors import ConsumerStoppedError

from clv.rules import DAY_MS, Rules
from clv.settings import Settings
from clv.watermark import PartitionState, Waiting
from streams.watch import STUCK_SECONDS, Progress, StuckPartition, check_stuck, idle_tick_ms, watch

RULES = Rules()
NOW_MS = 20_000 * DAY_MS


class Place(NamedTuple):
    """A topic's partition."""

    topic: str
    partition: int


class Message(NamedTuple):
    """A batch handed over."""

    tp: Place


TP = Place("clv.orders.v1", 1)


class Consumer:
    """A consumer that stands where it is told."""

    def __init__(self, *, acked: int, fetched: int | None, end: int | None, unacked: tuple[Message, ...] = ()) -> None:
        self.unacked = set(unacked)
        self._acked, self._fetched, self._end = acked, fetched, end

    def acked_to(self, tp: Place) -> int:
        """Return the next offset to be acknowledged."""
        return self._acked

    def highwater(self, tp: Place) -> int:
        """Return where the partition ended at the last fetch: long ago."""
        return self.acked_to(tp)

    async def highwaters(self, *places: Place) -> dict[Place, int]:
        """Return where the partitions end, as far as that is known."""
        if self._end is None:
            raise ConsumerStoppedError
        return dict.fromkeys(places, self._end)

    async def position(self, tp: Place) -> int | None:
        """Return the next offset to be fetched."""
        return self._fetched


def look_twice(consumer: Consumer, seconds: float) -> None:
    """Look at a partition, and again so many seconds later."""

    async def look() -> None:
        progress = Progress()
        await check_stuck(consumer, TP, progress, 100.0)
        await check_stuck(consumer, TP, progress, 100.0 + seconds)

    asyncio.run(look())


@pytest.mark.parametrize(
    "consumer",
    [
        pytest.param(Consumer(acked=5, fetched=5, end=9), id="never-fetched"),
        pytest.param(Consumer(acked=5, fetched=None, end=9), id="no-position"),
        pytest.param(Consumer(acked=5, fetched=9, end=9, unacked=(Message(TP),)), id="never-finished"),
    ],
)
def test_a_partition_that_stands_still_with_something_to_do(consumer: Consumer) -> None:
    """Records not fetched, or fetched and not finished, for a minute: only a restart helps."""
    look_twice(consumer, STUCK_SECONDS - 0.1)
    with pytest.raises(StuckPartition, match="partition 1 stands at 5 of 9"):
        look_twice(consumer, STUCK_SECONDS)


@pytest.mark.parametrize(
    "consumer",
    [
        pytest.param(Consumer(acked=9, fetched=9, end=9), id="at-the-end"),
        pytest.param(Consumer(acked=8, fetched=9, end=9), id="marker-at-the-end"),
        pytest.param(Consumer(acked=0, fetched=9, end=9, unacked=(Message(Place("t", 0)),)), id="all-compacted"),
        pytest.param(Consumer(acked=5, fetched=5, end=None), id="end-unknown"),
    ],
)
def test_a_quiet_partition_is_not_stuck(consumer: Consumer) -> None:
    """Nothing to do is no reason to end, though transaction markers leave the end beyond the last record."""
    look_twice(consumer, 10 * STUCK_SECONDS)


def test_progress_measures_since_the_last_move() -> None:
    """Each partition has its own clock, which starts over when it moves."""
    progress = Progress()
    seen = [
        progress.still_seconds(*look) for look in ((1, 5, 0.0), (1, 5, 10.0), (2, 5, 11.0), (1, 6, 12.0), (1, 6, 15.0))
    ]
    assert seen == [0.0, 10.0, 0.0, 0.0, 3.0]


def waiting(at_ms: int) -> Waiting:
    """A record that is held back."""
    return Waiting(at_ms, "c", b"c", b"{}", 1, 1)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        pytest.param(PartitionState(), None, id="nothing-seen"),
        pytest.param(PartitionState(front_ms=NOW_MS - 60_000), NOW_MS, id="live"),
        pytest.param(PartitionState(front_ms=NOW_MS - 7 * DAY_MS), NOW_MS, id="seven-days"),
        pytest.param(PartitionState(front_ms=NOW_MS), None, id="time-is-now"),
        pytest.param(PartitionState(front_ms=NOW_MS + 5), None, id="time-is-ahead"),
        pytest.param(PartitionState(front_ms=NOW_MS - 7 * DAY_MS - 1), None, id="a-replayed-log"),
        pytest.param(
            PartitionState(front_ms=5, waiting=[waiting(NOW_MS - 9), waiting(NOW_MS - 5), waiting(NOW_MS + 1)]),
            NOW_MS - 5,
            id="after-a-pause",
        ),
        pytest.param(PartitionState(front_ms=5, waiting=[waiting(NOW_MS + 1)]), None, id="only-the-future-waits"),
    ],
)
def test_the_tick_of_an_idle_partition(state: PartitionState, expected: int | None) -> None:
    """Time goes on to now from close by, and to what waits in the past; never years in a replayed log."""
    assert expected == idle_tick_ms(state, NOW_MS, RULES)


def test_a_partition_is_not_stuck_while_another_moves() -> None:
    """The worker is busy with the other one: a restart would only cost time."""

    async def look() -> None:
        progress = Progress()
        waiting = Consumer(acked=5, fetched=5, end=9)
        await check_stuck(waiting, TP, progress, 100.0)
        progress.still_seconds(0, 7, 100.0 + STUCK_SECONDS)
        await check_stuck(waiting, TP, progress, 100.0 + STUCK_SECONDS)
        with pytest.raises(StuckPartition):
            await check_stuck(waiting, TP, progress, 100.0 + 2 * STUCK_SECONDS)

    asyncio.run(look())


class Rebalanced:
    """A worker whose partitions are shared out anew while it asks the broker something."""

    def __init__(self) -> None:
        self.settings = Settings(broker="kafka:9092")
        self.in_recovery = self.rebalancing = False
        self.topic_ids = {TP.topic: "t1"}
        self.consumer, self.runner = self, self
        self.made: list[int] = []
        self.asked = asyncio.Event()

    def assignment(self) -> set[Place]:
        """One partition of the orders."""
        return {TP}

    def acked_to(self, tp: Place) -> int:
        """Nothing yet."""
        return 0

    async def highwaters(self, *places: Place) -> dict[Place, int]:
        """Answer late: meanwhile a rebalance has begun."""
        self.rebalancing = True
        self.asked.set()
        return dict.fromkeys(places, 0)

    async def note_changelog_end(self, number: int, end: int) -> None:
        """Nothing to see to."""

    def processor(self, number: int) -> None:
        """Note what would be made of rows half recovered."""
        self.made.append(number)


def test_no_partition_is_set_up_while_it_is_recovered(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rebalance that begins while the watch waits for the broker: the rows are not yet what they will be."""

    async def identity(_: Settings) -> dict[str, str]:
        return {TP.topic: "t1"}

    monkeypatch.setattr("streams.watch.LOOK_SECONDS", 0.0)
    monkeypatch.setattr("streams.watch.topic_ids", identity)

    async def look() -> list[int]:
        app = Rebalanced()
        watching = asyncio.create_task(watch(app, None))
        await app.asked.wait()
        for _ in range(5):
            await asyncio.sleep(0)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        return app.made

    assert asyncio.run(look()) == []
