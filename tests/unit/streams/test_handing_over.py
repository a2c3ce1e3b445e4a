"""Records on their way from the client to a stream while partitions are told to be read from elsewhere."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from aiokafka.errors import IllegalStateError
from faust.types import TP

from clv.topics import ORDERS
from streams.transport import Consumer

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST, SECOND = TP(ORDERS, 0), TP(ORDERS, 1)


def _nothing() -> None:
    """Do nothing."""


class Handing(Consumer):
    """Our driver's consumer as far as handing over goes, on a client that remembers seeks."""

    def __init__(self) -> None:
        self._moves = self._moves_at_fetch = 0
        self._sought: dict[TP, int] = {}
        self._read_offset: dict[TP, int | None] = defaultdict(lambda: None)
        self._buffered_partitions: set[TP] = set()
        self._thread = self
        self.flow_active = True
        self.suspend_flow = asyncio.Event()
        self.app = SimpleNamespace(
            consumer_generation_id=1, monitor=SimpleNamespace(track_tp_end_offset=lambda *_: None)
        )
        self.handed: list[tuple[TP, int, list[int]]] = []
        self.sought: list[dict[TP, int]] = []
        self._begun_at: dict[TP, int] = {}
        self.while_handing: Callable[[], None] = _nothing
        self.while_seeking: Callable[[], None] = _nothing
        self.callback = self._take

    async def sleep(self, seconds: float) -> None:
        """Do not wait."""

    async def perform_seek(self) -> None:
        """Nothing is committed."""
        self.while_seeking()

    async def _take(self, message: Any) -> None:
        self.handed.append((message.tp, message.value.from_offset, [record.offset for record in message.value.records]))
        self.while_handing()

    async def wait_first(self, *coros: Any, **_: Any) -> Any:
        """Wait for the first one alone: nothing suspends the flow here."""
        await coros[0]
        coros[1].close()
        return SimpleNamespace(stopped=False)

    def highwater(self, tp: TP) -> int:
        """Nobody looks."""
        del tp
        return 0

    def _is_changelog_tp(self, tp: TP) -> bool:
        return bool(tp.topic != ORDERS)

    def _to_message(self, tp: TP, record: Any) -> Any:
        return SimpleNamespace(tp=tp, offset=record.offset, value=None)

    def fetched(self, **offsets: range) -> dict[TP, list[Any]]:
        """Return records at these offsets, as the client hands them out."""
        return {TP(ORDERS, int(name[1:])): [SimpleNamespace(offset=n) for n in at] for name, at in offsets.items()}


@pytest.fixture
def consumer(monkeypatch: pytest.MonkeyPatch) -> Handing:
    """A consumer whose parent's seek, the one that reaches the client, is remembered."""
    made = Handing()

    async def remember(self: Handing, partitions: Any) -> None:
        self.sought.append(dict(partitions))

    monkeypatch.setattr("faust.transport.drivers.aiokafka.Consumer.seek_wait", remember)
    return made


def hand_over(consumer: Handing, records: dict[TP, list[Any]], active: set[TP] | None = None) -> None:
    """Run the fetch loop for one fetch that brings these records."""

    async def fetch(timeout: float) -> Any:  # noqa: ASYNC109 - Faust's signature
        del timeout
        consumer._stopped.set()
        return records, active

    consumer._wait_next_records = fetch
    consumer._stopped = asyncio.Event()
    fetcher = SimpleNamespace(_stopped=asyncio.Event(), set_shutdown=lambda: None)
    asyncio.run(consumer._drain_messages(fetcher))


def test_records_come_with_the_place_where_the_last_ones_ended(consumer: Handing) -> None:
    """A partition's batches name where each begins."""
    hand_over(consumer, consumer.fetched(p0=range(3), p1=range(2)))
    hand_over(consumer, consumer.fetched(p0=range(3, 5)))
    assert consumer.handed == [(FIRST, 0, [0, 1, 2]), (SECOND, 0, [0, 1]), (FIRST, 3, [3, 4])]
    assert consumer.sought == []


def test_records_fetched_before_a_seek_are_dropped_and_fetched_again(consumer: Handing) -> None:
    """They would look like the next ones after the place that was sought, and what lies between would be missed."""
    consumer._moves_at_fetch = consumer._moves
    with consumer._moving():
        consumer._read_offset[FIRST] = 100
    hand_over(consumer, consumer.fetched(p0=range(500, 503)))
    assert (consumer.handed, consumer.sought) == ([], [{FIRST: 100}])


def test_a_seek_while_records_are_handed_over_counts_for_the_rest(consumer: Handing) -> None:
    """The place that was sought is not overwritten by the end of what was just handed over."""

    def seek() -> None:
        with consumer._moving():
            consumer._read_offset[FIRST] = 1
        consumer.while_handing = _nothing

    consumer.while_handing = seek
    hand_over(consumer, consumer.fetched(p0=range(3), p1=range(2)))
    assert consumer.handed == [(FIRST, 0, [0, 1, 2])]
    assert consumer._read_offset[FIRST] == 1
    assert consumer.sought == [{FIRST: 1}, {SECOND: 0}]


def test_records_fetched_while_the_flow_is_suspended_are_fetched_again(consumer: Handing) -> None:
    """A standby's changelog is read while Faust ends a recovery, and nobody else sends it back."""
    changelog = TP("clv-customers-changelog", 3)
    consumer._read_offset[changelog] = 40
    consumer.flow_active = False
    hand_over(consumer, {changelog: [SimpleNamespace(offset=n) for n in range(40, 50)]})
    assert (consumer.handed, consumer.sought) == ([], [{changelog: 40}])


def test_a_rebalance_in_the_middle_of_a_seek_does_not_end_the_worker(consumer: Handing) -> None:
    """The client refuses to seek what was just taken away; records fetched before are not handed over."""

    def refuse() -> None:
        raise IllegalStateError("No current assignment for partition")

    consumer.while_seeking = refuse
    consumer.flow_active = False
    consumer._read_offset[FIRST] = 7
    hand_over(consumer, consumer.fetched(p0=range(7, 9)))
    assert (consumer.handed, consumer.sought) == ([], [{FIRST: 7}])


def test_records_of_a_paused_partition_are_fetched_again(consumer: Handing) -> None:
    """They come when it goes on, from where it was."""
    consumer._read_offset[FIRST] = 7
    hand_over(consumer, consumer.fetched(p0=range(7, 9), p1=range(2)), active={SECOND})
    assert (consumer.handed, consumer.sought) == ([(SECOND, 0, [0, 1])], [{FIRST: 7}])
