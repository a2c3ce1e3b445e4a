"""Records of every other topic, headers and changelog rows, as sink, trainer, worker and ads read them."""

from __future__ import annotations

import asyncio
import json
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from ads.following import read_records as read_for_ads
from clv import topics
from clv.errors import IncompatibleArtifact
from clv.masking import logged_id, masked
from clv.outcomes import BudgetSignal
from clv.rules import Rules
from clv.settings import Settings
from clv.state import decode_row, is_erased
from producers.progress import read_progress
from storage.batch import Place, Position
from storage.engine import Database
from storage.schema import upgrade
from storage.sinking import write_batch
from streams.maturity import MaturityMerge
from streams.partitions import PartitionProcessor
from streams.published import _announced_sequence
from streams.rows import PARTITION_KEY, is_older
from streams.store import MemoryRows
from streams.succession import _decoded
from streams.trainer import Trainer
from tests.contract.storage import outputs
from tests.frozen.records import VERSIONS, read_records
from tests.fuzz.mutate import bend, broken, odd_text, written
from tests.fuzz.target import Target

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from random import Random

_SAMPLES_OF_TOPIC = 60


class Consumed(NamedTuple):
    """A record as a Kafka client hands it over."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, Any], ...] = ()
    timestamp: int = 1_709_294_400_000


@cache
def samples() -> dict[str, list[Consumed]]:
    """Return some records of each output topic and the changelog, as the oldest release wrote them."""
    found: dict[str, list[Consumed]] = {}
    for record in read_records(VERSIONS[0]):
        topic = outputs.CHANGELOG if record.topic.endswith("changelog") else record.topic
        of_topic = found.setdefault(topic, [])
        if len(of_topic) < _SAMPLES_OF_TOPIC:
            of_topic.append(Consumed(topic, 0, record.offset, record.key, record.value, record.headers))
    made = outputs.OutputTopics()
    made.add(topics.BUDGET_SIGNALS, b"High-CLV", outputs.budget_signal("b1"))
    made.add(topics.MODELS, b"online", outputs.announcement("000001-aa"))
    made.dead_letter(7)
    for one in made.records:
        found.setdefault(one.topic, []).append(Consumed(*one))
    found.pop(topics.ORDERS, None)
    return found


def draw(rng: Random) -> Consumed:
    """Return a record with value, key or headers bent or broken."""
    of_topic = samples()
    record = rng.choice(of_topic[rng.choice(sorted(of_topic))])
    value = _value(rng, record)
    key = (
        record.key if rng.random() < 0.8 else rng.choice([None, b"", b"\xff", odd_text(rng).encode("utf-8", "replace")])
    )
    headers = record.headers if rng.random() < 0.6 else _headers(rng, record.headers)
    return record._replace(value=value, key=key, headers=headers)


def _value(rng: Random, record: Consumed) -> bytes | None:
    value = record.value
    if value is None or rng.random() < 0.03:
        return rng.choice([None, b"", rng.randbytes(30)])
    if record.topic not in (outputs.CHANGELOG, topics.DEAD_LETTERS) and rng.random() < 0.8:
        value = written(rng, bend(rng, json.loads(value)))
    if record.topic == outputs.CHANGELOG or rng.random() < 0.2:
        value = broken(rng, value, other=rng.choice(samples()[record.topic]).value or b"")
    return value


def _headers(rng: Random, headers: tuple[tuple[str, Any], ...]) -> tuple[tuple[str, Any], ...]:
    found = [list(header) for header in headers]
    for _ in range(rng.randint(1, 3)):
        place = rng.randint(0, len(found))
        action = rng.random()
        if action < 0.2 or place == len(found):
            found.insert(place, [rng.choice(["clv-offset", "clv-topic", "ce_id", odd_text(rng)]), rng.randbytes(8)])
        elif action < 0.4:
            del found[place]
        elif action < 0.6:
            found[place][1] = rng.choice([None, b"", b"-1", str(2**40).encode(), b"9" * 5_000, b"\xff", b"x" * 70_000])
        else:
            found[place][1] = broken(rng, found[place][1] or b"")
    return tuple((str(name), value) for name, value in found)


class Readers:
    """Everybody who reads the output topics."""

    def __init__(self) -> None:
        self._taken = 0
        nobody: Any = None  # the trainer reads a record without asking any of these
        self._trainer = Trainer(
            Settings(), nobody, consumer=nobody, producer=nobody, topic_id="t", stop=asyncio.Event()
        )

    def take(self, record: Consumed) -> str:
        """Let each reader read a record; the sink's verdict counts."""
        if self._taken % 1_000 == 0:
            self._trainer._merge = MaturityMerge({0: -1}, {}, -1)
        self._taken += 1
        stored = outputs.batch([record])  # type: ignore[list-item]  # as a client hands it over
        read_for_ads([record], key=b"k", conversions_from_ms=0)
        if record.topic == topics.TRAINING_EXAMPLES:
            self._trainer._take(0, record)
        _announced_sequence(record.value)
        read_progress(record.topic, record.value)
        _decoded([record.value], BudgetSignal)
        logged_id(record.headers)
        masked(record.value)
        return "dead letter" if stored.dead_letters else "taken"


class Store:
    """A database that the sink writes what it has collected to."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._stands: dict[Place, Position] = {}

    def take(self, record: Consumed) -> str:
        """Store a record as the sink does: whatever it is, the batch must go in."""
        place = (record.topic, record.partition)
        stands = self._stands.get(place, Position())
        batch = outputs.batch([record._replace(offset=stands.next_offset)], {place: stands})  # type: ignore[list-item]  # the same
        write_batch(self._database, batch)
        self._stands |= batch.reached
        return "dead letter" if batch.dead_letters else "stored"


def read_row(pair: tuple[bytes, bytes]) -> str:
    """Read a changelog row as recovery, timers, sink and API do: it is one, or is refused as what it is."""
    key, raw = pair
    is_erased(raw)
    is_older(key, raw, samples()[outputs.CHANGELOG][0].value or b"")
    rows = MemoryRows()
    rows.put({key: raw}, -1)
    rules = Rules()
    try:
        PartitionProcessor(0, rows, topic_id="t", rules=rules, batch_records=10)
        if key != PARTITION_KEY:
            decode_row(raw, 1)
    except IncompatibleArtifact:
        return "refused"
    return "a row"


def draw_row(rng: Random) -> tuple[bytes, bytes]:
    """Return a row's key and its bytes, broken."""
    rows = [record for record in samples()[outputs.CHANGELOG] if record.value]
    record, other = rng.choice(rows), rng.choice(rows)
    key = record.key or b""
    if rng.random() < 0.1:
        key = rng.choice([PARTITION_KEY, b"", b"\xff", b"\x00x"])
    return key, broken(rng, record.value or b"", other=other.value or b"")


@contextmanager
def reading(_folder: Path) -> Iterator[Target]:
    """Fuzz the readers of the output topics."""
    yield Target(draw, Readers().take)


@contextmanager
def storing(folder: Path) -> Iterator[Target]:
    """Fuzz the sink, SQL included."""
    url = f"sqlite:///{folder / 'fuzz.db'}"
    upgrade(url)
    database = Database(url)
    try:
        yield Target(draw, Store(database).take)
    finally:
        database.close()


@contextmanager
def rows(_folder: Path) -> Iterator[Target]:
    """Fuzz the decoder of changelog rows."""
    yield Target(draw_row, read_row)
