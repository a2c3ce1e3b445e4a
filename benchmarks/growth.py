"""How an order's cost in the worker's pipeline grows with batch size, history, customers and partitions.

Without a broker: what is measured is all that lies between a record's bytes and the bytes that go out.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from benchmarks.load import orders
from clv.pipeline import Record
from clv.rules import Rules
from clv.segments import Policies, SegmentPolicy
from clv.verdicts import Judgement
from streams.partitions import PartitionProcessor
from streams.store import MemoryRows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from clv.ports import Scorer

BATCHES = (1, 4, 16, 64, 256, 1_000, 4_000)
HISTORIES = (1, 4, 16, 64, 256, 1_024)
CUSTOMERS = (1_000, 10_000, 100_000, 300_000)
PARTITIONS = (1, 2, 4, 8, 16)
_BATCH = 1_000
_MEASURED = 8_000
_POLICY = SegmentPolicy("bench", 0, high_minor=20_000, growth_minor=5_000)


def measure_growth(
    scorer: Scorer, *, start_ms: int, rounds: int, observe: Callable[[str], None] = lambda _name: None
) -> dict[str, Any]:
    """Return CPU-µs an order by what grows; of each, the least of the rounds.

    Notes
    -----
    ``history``: so many orders of each customer came before. ``customers``: so many have a row already.
    """
    bench = _Bench(scorer, start_ms, rounds)
    found: dict[str, dict[str, float]] = {"batch_size": {}, "history": {}, "customers": {}, "partitions": {}}
    for size in BATCHES:
        found["batch_size"][str(size)] = bench.cost(
            customers=2_000, before=2_000, batch=size, count=min(_MEASURED, 800 * size)
        )
        observe(f"batches of {size}")
    for length in HISTORIES:
        found["history"][str(length)] = bench.cost(customers=250, before=250 * length, count=2_000)
        observe(f"histories of {length}")
    for number in CUSTOMERS:
        found["customers"][str(number)] = bench.cost(customers=number, before=number)
        observe(f"{number} customers")
    for number in PARTITIONS:
        found["partitions"][str(number)] = bench.cost(customers=10_000, before=10_000, partitions=number)
        observe(f"{number} partitions")
    return {"cpu_us_per_order": found, "rounds": rounds}


class _Bench:
    def __init__(self, scorer: Scorer, start_ms: int, rounds: int) -> None:
        self._rules = Rules()
        self._judgement = Judgement(scorer, Policies([_POLICY]), self._rules)
        self._start_ms = start_ms
        self._rounds = rounds

    def cost(
        self, *, customers: int, before: int, batch: int = _BATCH, count: int = _MEASURED, partitions: int = 1
    ) -> float:
        """Return CPU-µs an order after ``before`` others of so many customers."""
        found = min(self._once(customers, before, batch, count, partitions) for _ in range(self._rounds))
        return round(found, 2)

    def _once(self, customers: int, before: int, batch: int, count: int, partitions: int) -> float:
        load = list(orders(before + count, customers, start_ms=self._start_ms))
        processors = [
            PartitionProcessor(number, MemoryRows(), topic_id="bench", rules=self._rules, batch_records=batch)
            for number in range(partitions)
        ]
        parts = [load[: before or 0], load[before:]]
        records = [
            [
                [Record(place, *pair) for place, pair in enumerate(part[number::partitions], start)]
                for number in range(partitions)
            ]
            for part, start in zip(parts, (0, before), strict=True)
        ]
        self._pass(processors, records[0], _BATCH)
        begun = time.process_time()
        self._pass(processors, records[1], batch)
        return 1e6 * (time.process_time() - begun) / count

    def _pass(self, processors: Sequence[PartitionProcessor], records: Sequence[Sequence[Record]], batch: int) -> None:
        for processor, own in zip(processors, records, strict=True):
            for start in range(0, len(own), batch):
                results = processor.process(own[start : start + batch], self._judgement)
                processor.settle(results, processor.batch_number, 0)
