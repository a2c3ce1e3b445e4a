"""A worker without Kafka: a table's rows in memory, models by sequence, and records as a consumer hands them over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from clv.outcomes import Score
from clv.rules import DAY_MS, Rules
from clv.segments import Policies, SegmentPolicy
from clv.testing import ConstantScorer, order
from clv.topics import SCORES
from clv.verdicts import Judgement
from streams.agents import OrdersRunner
from streams.store import MemoryRows

if TYPE_CHECKING:
    from streams.codecs import Produced
    from tests.unit.streams.producer_fake import FakeProducer, Sent

RULES = Rules(far_ahead_ms=36_500 * DAY_MS)
CHANGELOG = "clv-customers-changelog"
DAY = 86_400


class Fetched(NamedTuple):
    """A record as the consumer gives it."""

    offset: int
    key: bytes | None
    value: bytes | None
    timestamp: int = -1


class NumberedModels:
    """Models whose scorer is named for its sequence; ``latest`` is what has been published."""

    def __init__(self, latest: int = 0) -> None:
        self.latest = latest

    def latest_sequence(self) -> int:
        """Return the newest sequence."""
        return self.latest

    async def judgement(self, sequence: int) -> Judgement:
        """Return the models of a sequence."""
        return judgement(sequence)


class Source:
    """Where batches come from: stands at offset 0 of each partition and notes where it is sent back to."""

    def __init__(self) -> None:
        self.sought: list[tuple[int, int]] = []

    def acked_to(self, partition: int) -> int:
        """Return where a partition is read from."""
        return 0

    async def may_send(self) -> None:
        """Nobody else has our partitions."""

    async def seek(self, partition: int, offset: int) -> None:
        """Note a seek."""
        self.sought.append((partition, offset))


class TableStore:
    """The customers table's store: rows by partition, refilled from the changelog's records."""

    def __init__(self) -> None:
        self.partitions: dict[int, MemoryRows] = {}

    def rows(self, partition: int) -> MemoryRows:
        """Return a partition's rows."""
        return self.partitions.setdefault(partition, MemoryRows())

    @classmethod
    def recovered(cls, written: list[Sent]) -> TableStore:
        """Return a store refilled from what was durable of a changelog."""
        store = cls()
        for sent in written:
            if sent.future.done():
                rows = {key: value for key, value in sent.records if key is not None}
                store.rows(sent.partition).put(rows, sent.offset)
        return store


def judgement(sequence: int = 0) -> Judgement:
    """Return models named for a sequence, with one policy."""
    return Judgement(ConstantScorer(f"s{sequence}"), Policies([SegmentPolicy("p", 0, 10_000, 3_000)]), RULES)


def orders(count: int, *, first: int = 0, customers: int = 3) -> list[Fetched]:
    """Make orders of a few customers, an hour apart, at ascending offsets."""
    return [
        Fetched(n, *order(f"c{n % customers}", f"o{n}", 1_000 * DAY + 3_600 * n, "10.00"))
        for n in range(first, first + count)
    ]


def runner(store: TableStore, producer: FakeProducer, models: NumberedModels, **options: Any) -> OrdersRunner:
    """Make a runner with the fakes."""
    given: dict[str, Any] = {"topic_id": "t1", "batch_records": 4, "on_failure": _refuse, "source": Source()} | options
    return OrdersRunner(
        store=store,  # type: ignore[arg-type]  # only rows() is used
        producer=producer,
        models=models,
        rules=RULES,
        changelog=CHANGELOG,
        **given,
    )


def scores(outputs: list[Produced]) -> list[Score]:
    """Read the scores among records to produce, in order."""
    return [msgspec.json.decode(o.value, type=Score) for o in outputs if o.topic == SCORES and o.value]


def sent_scores(producer: FakeProducer) -> list[Score]:
    """Read the scores that were sent, in order."""
    return [msgspec.json.decode(value, type=Score) for s in producer.to(SCORES) for _, value in s.records if value]


def _refuse(problem: BaseException) -> None:
    raise AssertionError(f"the worker would have ended: {problem!r}")
