"""The event decoder, and the whole pure pipeline behind it up to what sink, trainer and ads make of its outcomes."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from ads.following import read_records
from clv import topics
from clv.errors import EventError
from clv.events import MAX_ID_LENGTH, MAX_MS, REJECTION_REASONS, OrderPlaced, OrderRefunded, Tick, decode_event
from clv.money import MAX_AMOUNT_MINOR
from clv.outcomes import DeadLetter
from clv.pipeline import Batch, Record, process
from clv.state import decode_row, encode_row
from clv.testing import PartitionRig
from clv.watermark import PartitionState
from streams.codecs import to_record
from streams.refusals import refusals
from tests.contract.storage import outputs
from tests.fuzz.mutate import bend, broken, odd_text, written
from tests.fuzz.target import Target

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from random import Random

START = 1_709_294_400
"""2024-03-01T12:00:00Z"""
CUSTOMERS = ("ann", "bob", "cy", "ü/é", "007")
_RIG_RECORDS = 300
_POOL = 64
_MOST_BYTES = 4_000
_FROM_DECODING = frozenset(REJECTION_REASONS) - {"too_late", "from_the_future"}
Pair = tuple[bytes | None, bytes | None]


def sample(rng: Random) -> dict[str, Any]:
    """Return a valid event of any type, of one of a few customers, within some months."""
    body = _customer_event(rng)
    if rng.random() < 0.06:
        return {"type": "Tick", "event_id": "t", "as_of": body["occurred_at"], "schema_version": 1}
    return body


def _customer_event(rng: Random) -> dict[str, Any]:
    number = rng.randint(0, 40)
    common: dict[str, Any] = {
        "event_id": f"e{rng.randint(0, 10_000)}",
        "customer_id": rng.choice(CUSTOMERS),
        "occurred_at": START + rng.randint(0, 120 * 86_400) if rng.random() < 0.5 else "2024-03-05T08:00:00+02:00",
        "schema_version": 1,
    }
    kind = rng.random()
    if kind < 0.6:
        items = [{"sku": "s", "category": f"k{number % 4}", "quantity": 2, "unit_price": "4.50"}]
        acquired = {"source": "search", "campaign_type": "brand", "cost": 1.25}
        own: dict[str, Any] = {
            "type": "OrderPlaced",
            "order_id": f"o{number}",
            "total": f"{number}.50",
            "currency": "USD",
        }
        return common | own | {"items": items, "acquisition": acquired}
    if kind < 0.8:
        own = {"type": "OrderRefunded", "refund_id": f"r{number}", "amount": 3, "currency": "USD"}
        return common | own | {"order_id": f"o{number}"}
    if kind < 0.92:
        return common | {"type": "EmailEngaged", "campaign_id": "spring", "action": "opened"}
    return common | {"type": "RescoreAsked" if kind < 0.96 else "CustomerErased"}


def draw(rng: Random) -> Pair:
    """Return a record's key and value: mostly an event bent or broken, sometimes a valid one, sometimes noise."""
    body = sample(rng)
    chance = rng.random()
    if chance < 0.12:
        bent = body
    elif chance < 0.95:
        bent = bend(rng, body)
    else:
        return rng.choice([None, b"", rng.randbytes(20)]), rng.choice([None, b"", rng.randbytes(rng.randint(0, 400))])
    value: bytes | None = written(rng, bent)
    if value is not None and rng.random() < 0.25:
        value = broken(rng, value, other=written(rng, sample(rng)))
    return _key(rng, bent), value


def _key(rng: Random, body: dict[str, Any]) -> bytes | None:
    name = body.get("customer_id")
    if rng.random() < 0.05 or not isinstance(name, str):
        return rng.choice([None, b"", b"\xff\xfe", b"ann", odd_text(rng).encode("utf-8", "surrogatepass")])
    return name.encode("utf-8", "surrogatepass")


class Bytes:
    """Events bent once and broken many times: cheap inputs that lie close to each other."""

    def __init__(self) -> None:
        self._pool: list[tuple[bytes, bytes]] = []

    def draw(self, rng: Random) -> Pair:
        """Return a record whose value is broken at a few places; now and then another one comes into the pool."""
        if len(self._pool) < _POOL or rng.random() < 0.01:
            body = sample(rng)
            if rng.random() < 0.5:
                body = bend(rng, body, most=1)
            key = str(body.get("customer_id", "")).encode("utf-8", "surrogatepass")
            self._pool[_POOL - 1 :] = []
            self._pool.insert(rng.randint(0, len(self._pool)), (key, written(rng, body)[:_MOST_BYTES]))
        key, value = rng.choice(self._pool)
        return key, broken(rng, value, other=rng.choice(self._pool)[1])


def decode(pair: Pair) -> str:
    """Decode a record: an event within all bounds, or one of the documented reasons."""
    key, value = pair
    try:
        event = decode_event(value, key, currency="USD", digits=2)
    except EventError as problem:
        return _refused(problem)
    assert 0 <= event.occurred_ms <= MAX_MS
    for name in event.__struct_fields__:
        text = getattr(event, name)
        assert not isinstance(text, str) or (len(text) <= MAX_ID_LENGTH and "\x00" not in text), name
    if isinstance(event, OrderPlaced):
        assert 0 <= event.total_minor < MAX_AMOUNT_MINOR
        assert -1 <= event.acquisition_cost_minor < MAX_AMOUNT_MINOR
    elif isinstance(event, OrderRefunded):
        assert 0 <= event.amount_minor < MAX_AMOUNT_MINOR
    assert isinstance(event, Tick) or event.customer_id.encode() == key
    return type(event).__name__


def _refused(problem: EventError) -> str:
    assert problem.reason in REJECTION_REASONS, problem.reason
    assert len(str(problem)) < 2_000, "a dead letter's detail is short"
    return problem.reason


class Pipeline:
    """A partition that good and bad records go through; a new one every few hundred."""

    def __init__(self) -> None:
        self._rig = PartitionRig()

    def take(self, pair: Pair) -> str:
        """Process one record and hold everything against what must be so."""
        if self._rig.next_offset >= _RIG_RECORDS:
            self._rig = PartitionRig()
        rig = self._rig
        before = _settled(rig.partition.state)
        record = Record(rig.next_offset, *pair)
        rig.next_offset += 1
        batch = process([record], rig.partition, rig.judgement)
        rig.rows.put(batch.changed)
        _check_rows(rig, batch)
        own = [o for o in batch.outcomes if isinstance(o, DeadLetter) and o.offset == record.offset]
        _check_outcomes(batch, rig.next_offset)
        if not own:
            return "applied" if batch.changed else "nothing changed"
        (letter,) = own
        assert (letter.key, letter.value) == pair
        assert letter.reason in REJECTION_REASONS, letter.reason
        if letter.reason in _FROM_DECODING:
            assert not batch.changed, "bad input changed a row"
            assert _settled(rig.partition.state) == before, "bad input moved time"
        return letter.reason


def _settled(state: PartitionState) -> tuple[int, int]:
    return state.front_ms, state.progress_day


def _check_rows(rig: PartitionRig, batch: Batch) -> None:
    for name, row in batch.changed.items():
        if row is not None:
            raw = encode_row(row, 1)
            assert encode_row(decode_row(raw, 1), 1) == raw, f"a row of {len(raw)} bytes does not come back"
        assert (rig.rows.get(name) is None) == (row is None)
    raw = msgspec.msgpack.encode(rig.partition.state)
    assert msgspec.msgpack.encode(msgspec.msgpack.decode(raw, type=PartitionState)) == raw


def _check_outcomes(batch: Batch, offset: int) -> None:
    """Let those who read the output topics read each outcome: the sink must have no dead letter of its own."""
    made = [to_record(outcome) for outcome in batch.outcomes]
    letters = refusals(made)
    if not made:
        return
    records = [outputs.Record(m.topic, 0, offset + n, m.key, m.value, tuple(m.headers)) for n, m in enumerate(made)]
    stored = outputs.batch(records)
    assert len(stored.dead_letters) == len(letters)
    assert all(row["reason"] in REJECTION_REASONS and row["topic"] == "orders" for row in stored.dead_letters)
    ours = [_Timed(*record) for record in records if record.topic in (topics.SCORES, topics.SEGMENT_CHANGES)]
    if ours:
        read = read_records(ours, key=b"k", conversions_from_ms=0)
        assert len(read.scored) + len(read.changed) + len(read.erased)


class _Timed(outputs.Record):
    """A consumed record with the broker's time."""

    timestamp = START * 1000


@contextmanager
def decoding(_folder: Path) -> Iterator[Target]:
    """Fuzz ``decode_event``."""
    yield Target(draw, decode)


@contextmanager
def bytewise(_folder: Path) -> Iterator[Target]:
    """Fuzz ``decode_event`` byte by byte."""
    yield Target(Bytes().draw, decode)


@contextmanager
def pipeline(_folder: Path) -> Iterator[Target]:
    """Fuzz ``process`` and what reads its outcomes."""
    yield Target(draw, Pipeline().take)
