"""A worker that was frozen past its session: it stops, and what it wrote late does not count."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import pytest

from clv.state import CustomerState, Row, encode_row
from clv.watermark import PartitionState
from streams.delivery import PartitionDelivery, Write
from streams.fencing import ChangelogFence, Superseded, wait_for_certainty
from streams.rows import PARTITION_KEY, is_older
from tests.unit.streams.producer_fake import FakeProducer, turns

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from streams.fencing import Rows


def row(applied_offset: int, *, life: int = 1) -> bytes:
    """A customer's row that has applied so much of a life of the source topic."""
    return encode_row(Row(CustomerState(), applied_offset), life)


def place(applied_offset: int, *, topic_id: str = "t1") -> bytes:
    """A partition's own row that has applied so much."""
    return msgspec.msgpack.encode(PartitionState(applied_offset=applied_offset, topic_id=topic_id))


@pytest.mark.parametrize(
    ("key", "one", "other", "expected"),
    [
        pytest.param(b"a", row(5), row(6), True, id="less"),
        pytest.param(b"a", row(6), row(6), False, id="as-much"),
        pytest.param(b"a", row(7), row(6), False, id="more"),
        pytest.param(b"a", row(5), row(6, life=2), False, id="another-life"),
        pytest.param(PARTITION_KEY, place(5), place(6), True, id="partition-less"),
        pytest.param(PARTITION_KEY, place(7), place(6), False, id="partition-more"),
        pytest.param(PARTITION_KEY, place(5), place(6, topic_id="t2"), False, id="partition-another-life"),
        pytest.param(b"a", b"none", row(6), False, id="no-row-at-all"),
    ],
)
def test_which_of_two_rows_is_older(key: bytes, one: bytes, other: bytes, expected: bool) -> None:  # noqa: FBT001 - a parameter
    """The one that has applied less of the same topic; nothing else makes a row old."""
    assert is_older(key, one, other) is expected


class Group:
    """What the group thinks of us, look by look: certain, uncertain or lost."""

    def __init__(self, *looks: str) -> None:
        self._looks = list(looks)

    def is_certain(self) -> bool:
        """Whether nobody else has our partitions."""
        return self._looks[0] == "certain"

    def is_lost(self) -> bool:
        """Whether the group has put us out."""
        return self._looks.pop(0) == "lost"


def test_a_worker_waits_while_it_is_uncertain() -> None:
    """A broker that is away for a while, and then knows us still, costs time and nothing else."""
    group = Group("uncertain", "uncertain", "certain")
    asyncio.run(wait_for_certainty(group))
    with pytest.raises(Superseded):
        asyncio.run(wait_for_certainty(Group("uncertain", "lost")))


class Intruded:
    """A delivery on a changelog to which somebody else may write, and what became of it."""

    def __init__(self) -> None:
        self.producer = FakeProducer(is_prompt=True)
        self.held: dict[bytes, bytes] = {}
        self.foreign: Rows = []
        self.failures: list[BaseException] = []
        self.remains: dict[bytes, bytes] = {}
        fence = ChangelogFence(self.held.get, self._read, 0, self.remains.get)
        self.delivery = PartitionDelivery(self.producer, "changelog", 0, self.failures.append, fence=fence)

    async def write(self, applied: int) -> None:
        """Write a customer's and the partition's row, and wait until they are durable."""
        rows = {b"a": row(applied), PARTITION_KEY: place(applied)}
        await self.delivery.submit(Write([], rows, lambda _: self.held.update(rows)))
        await turns()

    def intrude(self, rows: Rows) -> None:
        """Have somebody else write rows."""
        self.foreign = rows
        self.producer._ends["changelog"] += len(rows)

    @property
    def written(self) -> list[list[tuple[bytes | None, bytes | None]]]:
        """What was sent to the changelog, write by write."""
        return [sent.records for sent in self.producer.to("changelog")]

    async def _read(self, first: int, end: int) -> Rows:
        assert end - first == len(self.foreign)
        return self.foreign


def run(scene: Callable[[Intruded], Awaitable[None]]) -> Intruded:
    """Play a scene."""

    async def play() -> Intruded:
        stage = Intruded()
        await asyncio.wait_for(scene(stage), timeout=10)
        await stage.delivery.stop()
        return stage

    return asyncio.run(play())


def test_rows_over_which_a_zombie_has_written_older_ones_are_written_again() -> None:
    """The last row of a key in the changelog is ours again, and the partition's own comes after its customers'."""

    async def scene(stage: Intruded) -> None:
        await stage.write(10)
        stage.intrude([(b"a", row(4)), (b"unknown", row(4)), (PARTITION_KEY, place(4))])
        assert stage.delivery.has_intruder(5)
        await stage.write(20)
        assert not stage.delivery.has_intruder(9)

    stage = run(scene)
    assert stage.failures == []
    assert stage.written[1:] == [[(b"a", row(20)), (PARTITION_KEY, place(20))]] * 2


def test_a_zombie_does_not_bring_an_erased_customer_back() -> None:
    """Over its older row the tombstone is written again; a row newer than the erasure stays."""

    async def scene(stage: Intruded) -> None:
        await stage.write(10)
        stage.remains.update({b"gone": row(8), b"back": row(3)})
        stage.intrude([(b"gone", row(4)), (b"back", row(4))])
        await stage.write(20)

    stage = run(scene)
    assert stage.written[1:] == [[(b"a", row(20)), (PARTITION_KEY, place(20))], [(b"gone", None)]]


def test_a_zombie_that_finds_newer_rows_ends_and_holds_nothing_for_durable() -> None:
    """Its store must not say that it has applied the changelog as far as its own late row."""

    async def scene(stage: Intruded) -> None:
        await stage.write(10)
        stage.intrude([(b"a", row(30)), (PARTITION_KEY, place(30))])
        await stage.write(12)

    stage = run(scene)
    assert [type(problem) for problem in stage.failures] == [Superseded]
    assert stage.held == {b"a": row(10), PARTITION_KEY: place(10)}


def test_nothing_is_sent_before_it_is_certain_that_nobody_else_has_the_partition() -> None:
    """Neither outputs nor rows; and what cannot become certain is a failure."""

    async def scene() -> None:
        producer, is_certain = FakeProducer(is_prompt=True), asyncio.Event()
        failures: list[BaseException] = []

        async def may_send() -> None:
            await is_certain.wait()

        delivery = PartitionDelivery(producer, "changelog", 0, failures.append, may_send=may_send)
        submitting = asyncio.create_task(delivery.submit(Write([], {b"a": row(1)}, lambda _: None)))
        await turns()
        assert producer.sent == []
        is_certain.set()
        await submitting
        await turns()
        assert ([sent.topic for sent in producer.sent], failures) == (["changelog"], [])
        await delivery.stop()

    asyncio.run(scene())
