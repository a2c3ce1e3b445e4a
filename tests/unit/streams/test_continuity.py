"""A batch that Faust drops between fetch and agent is noticed, and fetched again."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import msgspec

from clv.outcomes import Score
from clv.rules import Rules
from clv.segments import Policies
from clv.testing import ConstantScorer, order
from clv.verdicts import Judgement
from streams.agents import OrdersRunner
from streams.store import MemoryRows
from streams.transport import PartitionBatch
from tests.unit.streams.producer_fake import FakeProducer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

RULES = Rules()


class FixedModels:
    """No models were published."""

    def latest_sequence(self) -> int:
        """None."""
        return 0

    async def judgement(self, sequence: int) -> Judgement:
        """Return the constant scorer."""
        assert sequence == 0
        return Judgement(ConstantScorer(), Policies(), RULES)


class RecordedSource:
    """Remembers where the runner went back to."""

    def __init__(self) -> None:
        self.sought: list[tuple[int, int]] = []

    def acked_to(self, partition: int) -> int:
        """Nothing was committed."""
        assert partition == 0
        return 0

    async def may_send(self) -> None:
        """Nobody else has our partitions."""

    async def seek(self, partition: int, offset: int) -> None:
        """Remember it."""
        self.sought.append((partition, offset))


def batch_event(first: int, count: int, acked: list[int]) -> Any:
    """Make the event of a batch of orders at these offsets."""
    records = []
    for offset in range(first, first + count):
        key, value = order(f"c{offset}", f"o{offset}", 1_700_000_000 + offset, "1.00")
        records.append(SimpleNamespace(offset=offset, key=key, value=value, timestamp=-1))
    message = SimpleNamespace(partition=0, value=PartitionBatch(first, records))
    return SimpleNamespace(message=message, ack=lambda: acked.append(first + count - 1))


async def run(events: list[Any]) -> tuple[RecordedSource, FakeProducer]:
    """Run the agent's loop over batch events until all is delivered."""
    source, producer = RecordedSource(), FakeProducer(is_prompt=True)
    rows = MemoryRows()
    problems: list[BaseException] = []
    runner = OrdersRunner(
        source=source,
        store=SimpleNamespace(rows=lambda _: rows),  # type: ignore[arg-type]  # all that is asked of the store
        producer=producer,
        models=FixedModels(),
        rules=RULES,
        changelog="changelog",
        topic_id="life",
        batch_records=100,
        on_failure=problems.append,
    )

    async def stream() -> AsyncIterator[Any]:
        for event in events:
            yield event

    await runner.run(stream())
    await asyncio.sleep(0)
    for delivery in runner._deliveries.values():
        await delivery.drain()
    await runner.forget()
    assert problems == []
    return source, producer


def scored(producer: FakeProducer) -> list[str]:
    """Causes of the scores that were sent, in order."""
    values = [value for sent in producer.sent if sent.topic == "clv.scores.v1" for _, value in sent.records]
    return [msgspec.json.decode(value or b"", type=Score).cause for value in values]


def test_batches_that_follow_one_another_are_taken() -> None:
    """Each begins where the last one ended, the first where the group had committed."""
    acked: list[int] = []
    source, producer = asyncio.run(run([batch_event(0, 3, acked), batch_event(3, 2, acked)]))
    assert source.sought == []
    assert [f"order:o{n}" for n in range(5)] == scored(producer)
    assert acked == [2, 4]


def test_a_lost_first_batch_is_fetched_again() -> None:
    """Nothing behind the gap is applied or acknowledged until the gap is filled; the runner goes back once."""
    acked: list[int] = []
    events = [batch_event(3, 2, acked), batch_event(5, 1, acked), batch_event(0, 3, acked), batch_event(3, 3, acked)]
    source, producer = asyncio.run(run(events))
    assert source.sought == [(0, 0)]
    assert [f"order:o{n}" for n in range(6)] == scored(producer)
    assert acked == [2, 5]


def test_a_lost_batch_in_the_middle_is_fetched_again() -> None:
    """The runner goes back to the end of the last batch that it took."""
    acked: list[int] = []
    source, producer = asyncio.run(run([batch_event(0, 3, acked), batch_event(6, 2, acked), batch_event(3, 5, acked)]))
    assert source.sought == [(0, 3)]
    assert [f"order:o{n}" for n in range(8)] == scored(producer)
    assert acked == [2, 7]
