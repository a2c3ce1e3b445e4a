"""Delivery: outputs, then changelog, then acknowledgement; in order, or not at all."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from aiokafka.producer.message_accumulator import BatchBuilder

from streams.codecs import Produced
from streams.delivery import MAX_IN_FLIGHT, NO_OFFSET, PartitionDelivery, Write
from streams.rows import PARTITION_KEY
from tests.unit.streams.producer_fake import FakeProducer, turns

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

CHANGELOG = "changelog"


class Stage:
    """A delivery with a fake producer, and notes of what it acknowledged and what it failed with."""

    def __init__(self, producer: FakeProducer) -> None:
        self.producer = producer
        self.acked: list[tuple[int, int]] = []
        self.failures: list[BaseException] = []
        self.delivery = PartitionDelivery(producer, CHANGELOG, 3, self.failures.append)

    def write(self, number: int, *topics: str, rows: dict[bytes, bytes | None] | None = None) -> Write:
        """One batch's results: a record to each topic, a row of its own, and a note when all is durable."""
        outputs = [Produced(topic, b"k", f"{number}".encode(), []) for topic in topics]
        held = {b"row%d" % number: b"v"} if rows is None else rows
        return Write(outputs, held, lambda offset: self.acked.append((number, offset)))

    @property
    def order(self) -> list[int]:
        """Numbers of the batches acknowledged, in order."""
        return [number for number, _ in self.acked]


def run(scene: Callable[[Stage], Awaitable[None]], **options: Any) -> Stage:
    """Play a scene with a fresh delivery."""

    async def play() -> Stage:
        stage = Stage(FakeProducer(**options))
        await asyncio.wait_for(scene(stage), timeout=10)  # a deadlock is red, not endless
        await stage.delivery.stop()
        return stage

    return asyncio.run(play())


def test_the_changelog_waits_for_every_output() -> None:
    """No row is sent before all outputs of its batch are durable, and nothing is acknowledged before the row is."""

    async def scene(stage: Stage) -> None:
        await stage.delivery.submit(stage.write(1, "scores", "examples"))
        await turns()
        scores, examples = stage.producer.sent
        assert (scores.topic, scores.partition, examples.topic) == ("scores", 3, "examples")
        examples.land()
        await turns()
        assert (stage.producer.to(CHANGELOG), stage.acked) == ([], [])
        scores.land()
        await turns()
        (changelog,) = stage.producer.to(CHANGELOG)
        assert (changelog.partition, changelog.records, stage.acked) == (3, [(b"row1", b"v")], [])
        changelog.land()
        await turns()
        assert stage.acked == [(1, 0)]

    assert run(scene).failures == []


def test_acknowledgements_stay_in_order() -> None:
    """A later batch whose outputs land first waits for the earlier one."""

    async def scene(stage: Stage) -> None:
        for number in (1, 2, 3):
            await stage.delivery.submit(stage.write(number, "scores"))
        first, second, third = stage.producer.to("scores")
        third.land()
        second.land()
        await turns()
        assert (stage.producer.to(CHANGELOG), stage.acked) == ([], [])
        first.land()
        for _ in range(3):
            await turns()
            for sent in stage.producer.to(CHANGELOG):
                if not sent.future.done():
                    sent.land()
        assert stage.order == [1, 2, 3]

    run(scene)


def test_outputs_of_the_next_batch_do_not_wait() -> None:
    """Batches are pipelined: the second one's outputs are sent while the first is under way."""

    async def scene(stage: Stage) -> None:
        await stage.delivery.submit(stage.write(1, "scores"))
        await stage.delivery.submit(stage.write(2, "scores"))
        assert len(stage.producer.to("scores")) == 2

    run(scene)


@pytest.mark.parametrize("topic", ["scores", CHANGELOG])
def test_a_failure_ends_it_once_and_nothing_later_is_acknowledged(topic: str) -> None:
    """Whether an output or the changelog fails: one call, no acknowledgement, nobody left waiting."""

    async def scene(stage: Stage) -> None:
        await stage.delivery.submit(stage.write(1, "scores"))
        await turns()
        await stage.delivery.submit(stage.write(2, "scores"))
        first, second = stage.producer.to("scores")
        if topic == CHANGELOG:
            first.land()
            await turns()
        stage.producer.to(topic)[0].fail(RuntimeError("lost"))
        await turns()
        second.land()
        for number in range(3, 3 + 3 * MAX_IN_FLIGHT):
            await stage.delivery.submit(stage.write(number, "scores"))
        await stage.delivery.drain()
        assert len(stage.producer.to("scores")) == 2

    stage = run(scene)
    assert [str(problem) for problem in stage.failures] == ["lost"]
    assert stage.acked == []


def test_a_row_that_cannot_be_stored_is_a_failure() -> None:
    """An exception of what follows durability ends the process like a failed send."""

    async def scene(stage: Stage) -> None:
        def refuse(offset: int) -> None:
            raise OSError("disk full")

        await stage.delivery.submit(Write([], {b"row": b"v"}, refuse))
        await stage.delivery.submit(stage.write(2))
        await turns()

    stage = run(scene, is_prompt=True)
    assert [type(problem) for problem in stage.failures] == [OSError]
    assert stage.acked == []


def test_drain_waits_for_all_and_no_longer() -> None:
    """It returns when the last batch is durable; at once where there is none."""

    async def scene(stage: Stage) -> None:
        await stage.delivery.drain()
        await stage.delivery.submit(stage.write(1, "scores"))
        draining = asyncio.create_task(stage.delivery.drain())
        await turns()
        assert not draining.done()
        stage.producer.to("scores")[0].land()
        await turns()
        assert not draining.done()
        stage.producer.to(CHANGELOG)[0].land()
        await draining
        assert stage.order == [1]

    run(scene)


def test_too_much_under_way_holds_the_next_batch_back() -> None:
    """Backpressure: only so many batches are under way, and the next goes on when there is room."""

    async def scene(stage: Stage) -> None:
        async def submit_all() -> None:
            for number in range(5 * MAX_IN_FLIGHT):
                await stage.delivery.submit(stage.write(number, "scores"))

        submitting = asyncio.create_task(submit_all())
        await turns(200)
        assert not submitting.done()
        assert len(stage.producer.to("scores")) <= 2 * MAX_IN_FLIGHT + 2
        while not (submitting.done() and len(stage.acked) == 5 * MAX_IN_FLIGHT):
            for sent in stage.producer.sent:
                if not sent.future.done():
                    sent.land()
            await turns()
        assert stage.order == sorted(stage.order)

    run(scene)


def test_a_partitions_own_row_comes_last() -> None:
    """It says that all rows up to an offset are there, so no row of its batch may lie behind it in the changelog."""

    async def scene(stage: Stage) -> None:
        rows: list[dict[bytes, bytes | None]] = [
            {b"ann": b"1", b"bob": b"1", PARTITION_KEY: b"1"},
            {b"cy": b"2", b"ann": b"2", PARTITION_KEY: b"2"},
        ]
        await stage.delivery.submit(stage.write(0, rows={}))
        for number, held in enumerate(rows, 1):
            await stage.delivery.submit(stage.write(number, "scores", rows=held))
        await turns()
        for sent in stage.producer.to("scores"):
            sent.land()
        await turns()
        (changelog,) = stage.producer.to(CHANGELOG)
        assert changelog.records == [(b"bob", b"1"), (b"cy", b"2"), (b"ann", b"2"), (PARTITION_KEY, b"2")]

    run(scene)


def test_rows_of_several_batches_share_a_write() -> None:
    """The last of them is told how far the changelog has come; those before it make no claim of their own."""

    async def scene(stage: Stage) -> None:
        for number in (1, 2, 3):
            await stage.delivery.submit(stage.write(number))
        await stage.delivery.drain()
        assert len(stage.producer.to(CHANGELOG)) == 2

    assert run(scene, is_prompt=True, capacity=2).acked == [(1, NO_OFFSET), (2, NO_OFFSET), (3, 2)]


def test_nothing_to_write_is_acknowledged_in_its_turn() -> None:
    """A batch without results waits for those before it."""

    async def scene(stage: Stage) -> None:
        await stage.delivery.submit(stage.write(1, "scores"))
        await stage.delivery.submit(stage.write(2, rows={}))
        await turns()
        assert stage.acked == []
        stage.producer.to("scores")[0].land()
        await turns()
        stage.producer.to(CHANGELOG)[0].land()
        await turns()
        assert stage.order == [1, 2]

    run(scene)


def test_stopping_wakes_whoever_waits() -> None:
    """A stop in the middle leaves nobody waiting for room or for the end, and acknowledges nothing."""

    async def scene(stage: Stage) -> None:
        async def submit_all() -> None:
            for number in range(5 * MAX_IN_FLIGHT):
                await stage.delivery.submit(stage.write(number, "scores"))

        submitting = asyncio.create_task(submit_all())
        await turns(200)
        draining = asyncio.create_task(stage.delivery.drain())
        await stage.delivery.stop()
        await asyncio.wait_for(asyncio.gather(submitting, draining), timeout=5)

    stage = run(scene)
    assert (stage.acked, stage.failures) == ([], [])


def test_records_are_split_over_batches_that_fit() -> None:
    """A topic's records go out in as few batches as hold them, in order."""

    async def scene(stage: Stage) -> None:
        outputs = [Produced("scores", b"k", b"%d" % n, []) for n in range(5)]
        await stage.delivery.submit(Write(outputs, {}, lambda _: None))
        sent = [[value for _, value in s.records] for s in stage.producer.to("scores")]
        assert sent == [[b"0", b"1"], [b"2", b"3"], [b"4"]]

    run(scene, capacity=2)


def test_a_record_that_fits_nowhere_is_said_so() -> None:
    """It is an error of this program, not a reason to send nothing silently."""

    async def scene(stage: Stage) -> None:
        with pytest.raises(ValueError, match="does not fit"):
            await stage.delivery.submit(stage.write(1, "scores"))

    run(scene, capacity=0)


def test_a_real_batch_takes_a_record_larger_than_itself() -> None:
    """A dead letter as large as the broker takes is the only record of its batch, whatever the batch's size."""
    batch = BatchBuilder(900_000, 0)
    assert batch.append(timestamp=None, key=None, value=b"x" * 1_500_000, headers=[("a", b"b")]) is not None
    assert batch.append(timestamp=None, key=None, value=b"y", headers=[]) is None
    assert BatchBuilder(900_000, 0).append(timestamp=None, key=None, value=None, headers=[("a", b"b")]) is not None
