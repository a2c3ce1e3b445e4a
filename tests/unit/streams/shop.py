"""A made-up shop run through the core on two partitions: what the examples topic carries and what SQL holds."""

from __future__ import annotations

import random
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from clv import topics
from clv.events import parse_time_ms
from clv.outcomes import Outcome, Score, TrainingExample, WatermarkPassed
from clv.rules import DAY_MS
from clv.testing import PartitionRig, order, tick
from storage.engine import Database
from storage.schema import upgrade
from storage.sinking import load_positions, write_batch
from streams.rows import PARTITION_KEY
from tests.contract.storage.outputs import CHANGELOG, Record, batch

if TYPE_CHECKING:
    from pathlib import Path

START_MS = parse_time_ms("2024-01-01T00:00:00Z")
CUSTOMERS = 120
PARTITIONS = 2


class Shop(NamedTuple):
    """Outcomes by partition in order, and state rows by partition and key."""

    outcomes: dict[int, list[Outcome]]
    states: dict[tuple[int, bytes], bytes]

    def topic(self, partition: int) -> list[TrainingExample | WatermarkPassed]:
        """Return what a partition of the examples topic carries."""
        return [event for event in self.outcomes[partition] if isinstance(event, TrainingExample | WatermarkPassed)]

    def examples(self) -> list[TrainingExample]:
        """Return every example."""
        return [event for p in self.outcomes for event in self.topic(p) if isinstance(event, TrainingExample)]


@cache
def shop(days: int) -> Shop:
    """Run the shop's first days; every longer run has the same orders on them."""
    outcomes: dict[int, list[Outcome]] = {}
    states: dict[tuple[int, bytes], bytes] = {}
    for partition in range(PARTITIONS):
        rig = PartitionRig()
        rig.partition = rig.partition._replace(number=partition)
        outcomes[partition] = []
        dated = [one for number in range(partition, CUSTOMERS, PARTITIONS) for one in _orders(number)]
        for day in range(days):
            today = [order(*one) for at_day, one in sorted(dated) if at_day == day]
            outcomes[partition] += rig.feed([*today, tick((START_MS + (day + 1) * DAY_MS) / 1000)])
        states |= {(partition, key.encode()): row for key, row in rig.rows.rows.items()}
        states[partition, PARTITION_KEY] = msgspec.msgpack.encode(rig.partition.state)
    return Shop(outcomes, states)


def _orders(number: int) -> list[tuple[int, tuple[str, str, float, str]]]:
    """Return a customer's orders of four hundred days, each with its day."""
    rng = random.Random(number)
    day, gap_days = rng.uniform(0, 50), rng.uniform(5, 60)
    orders: list[tuple[int, tuple[str, str, float, str]]] = []
    while day < 400:
        at_seconds = START_MS / 1000 + round(day * 86_400)
        total = f"{rng.randint(500, 9_000) / 100:.2f}"
        orders.append((int(day), (f"c{number}", f"o{number}-{len(orders)}", at_seconds, total)))
        if rng.random() < 0.25:
            break
        day += rng.expovariate(1 / gap_days) + 0.01
    return orders


def open_database(folder: Path) -> Database:
    """Return a new SQLite database with every table."""
    url = f"sqlite:///{folder / 'clv.db'}"
    upgrade(url)
    return Database(url)


def store(database: Database, shop: Shop, *, states: dict[tuple[int, bytes], bytes] | None = None) -> None:
    """Write scores, examples and states as the sink does; ``states`` instead of the shop's own, if given."""
    records: list[Record] = []
    for partition, outcomes in shop.outcomes.items():
        for offset, outcome in enumerate(outcomes):
            if isinstance(outcome, Score):
                topic, key = topics.SCORES, outcome.customer_id
            elif isinstance(outcome, TrainingExample):
                topic, key = topics.TRAINING_EXAMPLES, outcome.customer_id
            else:
                continue
            records.append(Record(topic, partition, offset, key.encode(), msgspec.json.encode(outcome)))
    held = shop.states if states is None else states
    records += [Record(CHANGELOG, p, offset, key, row) for offset, ((p, key), row) in enumerate(held.items())]
    found = load_positions(database, [topics.SCORES, topics.TRAINING_EXAMPLES, CHANGELOG])
    write_batch(database, batch(records, found))
