"""The orders agent: batches in, results delivered, acknowledged in order; models adopted before they are used."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import pytest

from clv.topics import SCORES
from clv.watermark import PartitionState
from streams.rows import PARTITION_KEY
from tests.unit.streams.producer_fake import FakeProducer, turns
from tests.unit.streams.worker_fake import (
    CHANGELOG,
    Fetched,
    NumberedModels,
    Source,
    TableStore,
    orders,
    runner,
    sent_scores,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


def own_row(store: TableStore) -> PartitionState:
    """Partition 0's own state in a store."""
    row = store.rows(0).get(PARTITION_KEY)
    assert row is not None
    return msgspec.msgpack.decode(row, type=PartitionState)


def test_a_batch_is_acknowledged_once_when_all_of_it_is_durable() -> None:
    """A fetched batch is cut into slices; only the last one's delivery acknowledges."""

    async def scene() -> None:
        producer, store, acked = FakeProducer(), TableStore(), list[str]()
        one = runner(store, producer, NumberedModels())
        await one.take(0, orders(10), lambda: acked.append("batch"))
        assert [len(s.records) for s in producer.to(SCORES)] == [4, 4, 2]
        while not acked:
            for sent in producer.sent:
                if not sent.future.done():
                    assert acked == []
                    sent.land()
            await turns()
        assert (acked, own_row(store).applied_offset) == (["batch"], 9)
        await one.forget()

    asyncio.run(scene())


def test_a_batch_applied_before_is_acknowledged_again() -> None:
    """Records that a crash delivers again change nothing and are acknowledged."""

    async def scene() -> None:
        producer, store, acked = FakeProducer(is_prompt=True), TableStore(), list[int]()
        one = runner(store, producer, NumberedModels())
        await one.take(0, orders(3), lambda: acked.append(1))
        await turns()
        sent = len(producer.sent)
        await one.take(0, orders(3), lambda: acked.append(2))
        await turns()
        assert (acked, len(producer.sent)) == ([1, 2], sent)
        await one.forget()

    asyncio.run(scene())


def test_an_adoption_is_durable_before_any_output_uses_it() -> None:
    """No score of new models is sent before the row that says so is durable, nor while old ones are under way."""

    async def scene() -> None:
        producer, models = FakeProducer(), NumberedModels()
        one = runner(TableStore(), producer, models)
        await one.take(0, orders(2), lambda: None)
        models.latest = 7
        taking = asyncio.create_task(one.take(0, orders(2, first=2), lambda: None))
        await turns()
        assert (len(producer.to(SCORES)), producer.to(CHANGELOG)) == (1, [])
        for sent in list(producer.sent):
            sent.land()
        await turns()
        producer.to(CHANGELOG)[0].land()
        await turns()
        (_, adoption) = producer.to(CHANGELOG)
        ((key, value),) = adoption.records
        assert value is not None
        state = msgspec.msgpack.decode(value, type=PartitionState)
        assert (key, [(a.from_offset, a.sequence) for a in state.adoptions]) == (PARTITION_KEY, [(2, 7)])
        assert len(producer.to(SCORES)) == 1
        adoption.land()
        await taking
        assert [s.models.scorer for s in sent_scores(producer)] == ["s0", "s0", "s7", "s7"]
        await one.forget()

    asyncio.run(scene())


@pytest.mark.parametrize("durable", range(7))
def test_a_crash_anywhere_repeats_the_same_scores(durable: int) -> None:
    """Whatever of a run is durable, a new worker with newer models gives each record one score, byte for byte."""

    async def life(store: TableStore, models: NumberedModels, writes: int, **options: Any) -> FakeProducer:
        producer = FakeProducer()
        one = runner(store, producer, models, **options)

        async def work() -> None:
            for start in range(0, 12, 4):
                models.latest += start == 4
                await one.take(0, orders(4, first=start), lambda: None)

        working = asyncio.create_task(work())
        landed = 0
        for _ in range(40):
            await turns()
            for sent in producer.sent:
                if not sent.future.done() and (sent.topic != CHANGELOG or landed < writes):
                    landed += sent.topic == CHANGELOG
                    sent.land()
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        await one.forget()
        return producer

    async def scene() -> None:
        before = await life(TableStore(), NumberedModels(1), durable)
        store = TableStore.recovered(before.to(CHANGELOG))
        after = await life(store, NumberedModels(5), 99, end_offset=lambda _: 12)
        given_out = {msgspec.json.encode(s): s.cause for s in (*sent_scores(before), *sent_scores(after))}
        state = own_row(store)
        assert (state.applied_offset, state.counts.applied) == (11, 12)
        assert sorted(given_out.values()) == sorted(f"order:o{n}" for n in range(12))

    asyncio.run(scene())


class _Batch(NamedTuple):
    from_offset: int
    records: list[Fetched]


class _Message(NamedTuple):
    partition: int
    value: _Batch


class _Event(NamedTuple):
    message: _Message
    ack: Callable[[], None]


async def _stream(*events: _Event) -> AsyncIterator[_Event]:
    for event in events:
        yield event


def test_partitions_have_their_own_rows() -> None:
    """Batches of different partitions do not touch one another's rows."""

    async def scene() -> None:
        producer, store, acked = FakeProducer(is_prompt=True), TableStore(), list[int]()
        one = runner(store, producer, NumberedModels())
        events = [_Event(_Message(n, _Batch(0, orders(2))), lambda n=n: acked.append(n)) for n in (0, 1)]  # type: ignore[misc]  # n is bound
        await one.run(_stream(*events))
        await turns()
        assert (acked, sorted(one.processors)) == ([0, 1], [0, 1])
        assert {s.partition for s in producer.to(CHANGELOG)} == {0, 1}
        assert dict(store.rows(0).items()).keys() == dict(store.rows(1).items()).keys()
        await one.forget()

    asyncio.run(scene())


def test_an_exception_ends_the_process_and_acknowledges_nothing() -> None:
    """Nothing leaves the loop unseen: Faust would acknowledge what it failed on."""

    async def scene() -> None:
        failures, acked = list[BaseException](), list[int]()
        one = runner(TableStore(), FakeProducer(capacity=0), NumberedModels(), on_failure=failures.append)
        with pytest.raises(ValueError, match="does not fit"):
            await one.run(_stream(_Event(_Message(0, _Batch(0, orders(1))), lambda: acked.append(1))))
        assert ([type(p) for p in failures], acked) == ([ValueError], [])
        await one.forget()

    asyncio.run(scene())


def test_after_a_rebalance_everything_is_read_again() -> None:
    """A forgotten partition's processor is made anew from the store; nothing in flight is acknowledged later."""

    async def scene() -> None:
        producer, store, acked = FakeProducer(), TableStore(), list[int]()
        one = runner(store, producer, NumberedModels())
        await one.take(0, orders(2), lambda: acked.append(1))
        await one.forget()
        for sent in producer.sent:
            sent.land()
        await turns()
        assert (acked, one.processors) == ([], {})
        assert one.processor(0).state.applied_offset == -1

    asyncio.run(scene())


def test_a_batch_lost_on_the_way_is_fetched_again() -> None:
    """A batch that does not begin where the last one ended is dropped, and the source sent back, once."""

    async def scene() -> None:
        producer, source, acked = FakeProducer(is_prompt=True), Source(), list[int]()
        one = runner(TableStore(), producer, NumberedModels(), source=source)
        batches = [(0, orders(2)), (4, orders(2, first=4)), (6, orders(2, first=6)), (2, orders(2, first=2))]
        await one.run(_stream(*(_Event(_Message(0, _Batch(*b)), lambda b=b: acked.append(b[0])) for b in batches)))  # type: ignore[misc]  # b is bound
        await turns()
        assert (acked, source.sought) == ([0, 2], [(0, 2)])
        await one.forget()

    asyncio.run(scene())


def test_a_batch_begun_before_a_rebalance_comes_again() -> None:
    """A rebalance in the middle of a batch: after it the batch is taken from its beginning, not skipped."""

    async def scene() -> None:
        producer, store, source, acked = FakeProducer(), TableStore(), Source(), list[int]()
        one = runner(store, producer, NumberedModels(1), source=source)
        batch = _Batch(0, orders(2))
        running = asyncio.create_task(one.run(_stream(_Event(_Message(0, batch), lambda: acked.append(1)))))
        await turns()
        await one.forget()
        await running
        for sent in producer.sent:
            sent.land()
        again = asyncio.create_task(one.run(_stream(_Event(_Message(0, batch), lambda: acked.append(2)))))
        for _ in range(10):
            await turns()
            for sent in producer.sent:
                if not sent.future.done():
                    sent.land()
        await again
        assert (acked, source.sought, own_row(store).counts.applied) == ([2], [], 2)
        await one.forget()

    asyncio.run(scene())
