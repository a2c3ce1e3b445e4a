"""Records to rows: every topic's, tombstones, and what nobody can read."""

from __future__ import annotations

import msgspec
import pytest

from clv import topics
from clv.events import parse_time_ms
from storage.batch import Position
from streams.sink_batches import collect
from tests.contract.storage.outputs import CHANGELOG, IDS, OutputTopics, Record, batch, score


def test_offsets_stand_behind_the_last_record() -> None:
    """Holes in the offsets (transaction markers, compaction) do not matter: the last record's counts."""
    records = [Record(CHANGELOG, 2, offset, b"k", b"v") for offset in (4, 9)]
    place = (CHANGELOG, 2)
    stored = {place: Position("id", 4), (CHANGELOG, 3): Position("id", 1)}
    found = collect(records, expected=stored, ids={CHANGELOG: "id"}, changelog=CHANGELOG)
    assert found.expected == {place: Position("id", 4)}
    assert found.reached == {place: Position("id", 10)}


def test_moments_become_milliseconds() -> None:
    """Times are sortable numbers, −1 where the event leaves them empty."""
    outputs = OutputTopics()
    outputs.score("e1", "c1")
    row = outputs.batch().customers["c1"]
    assert row["as_of_ms"] == parse_time_ms("1997-01-02T00:00:00Z")
    assert row["expected_next_order_ms"] == -1


def test_a_tombstone_removes_what_came_before_it_only() -> None:
    """Scores before the tombstone are not even stored; those after it are."""
    outputs = OutputTopics()
    outputs.score("e1", "c1")
    outputs.score("e2", "c2")
    outputs.tombstone("c1")
    outputs.score("e3", "c1")
    found = outputs.batch()
    assert found.erased == {"c1": b"c1"}
    assert [row["event_id"] for row in found.scores] == ["e2", "e3"]
    assert found.customers["c1"]["score_event_id"] == "e3"


def test_a_dead_letter_keeps_bytes_and_original_position() -> None:
    """A dead letter is known by where it lay first, so that a repeated one is the same row."""
    outputs = OutputTopics()
    outputs.dead_letter(7, key=None)
    outputs.dead_letter(7, key=None)
    expected = {
        "topic": topics.ORDERS,
        "incarnation": IDS[topics.ORDERS],
        "partition": 0,
        "offset": 7,
        "key": None,
        "value": b"\xff\x00 raw",
        "reason": "bad_amount",
        "detail": "an amount is negative",
    }
    assert outputs.batch().dead_letters == [expected, expected]


_DEEP = b'{"type": "CustomerScored", "x": ' + b"[" * 20_000 + b"]" * 20_000 + b"}"
_OF_A_LETTER = {"clv-reason": b"r", "clv-topic": b"clv.orders.v1", "clv-partition": b"0", "clv-offset": b"7"}


def _letter(**changes: bytes | None) -> Record:
    """Return a dead letter with some headers changed; Kafka allows one without a value."""
    headers = _OF_A_LETTER | {f"clv-{name}": value for name, value in changes.items()}
    return Record(topics.DEAD_LETTERS, 0, 5, b"c1", b"x", tuple(headers.items()))  # type: ignore[arg-type]  # or none


def _score(**changes: object) -> Record:
    """Return a score with some fields changed."""
    return Record(topics.SCORES, 0, 5, b"c1", msgspec.json.encode(msgspec.structs.replace(score("e", "c1"), **changes)))


_UNREADABLE = {
    "too-deep": Record(topics.SCORES, 0, 5, b"c1", _DEEP),
    "partition-header-without-value": _letter(partition=None),
    "topic-too-long": _letter(topic=b"x" * 3_000),
    "partition-too-large": _letter(partition=str(2**31).encode()),
    "horizon-too-large": _score(horizon_days=2**31),
    "event-id-too-long": _score(event_id="x" * 3_000),
    "tombstone-of-a-long-key": Record(topics.SCORES, 0, 5, b"c" * 3_000, None),
    "state-of-a-long-key": Record(CHANGELOG, 0, 5, b"c" * 3_000, b"x"),
    "not-json": Record(topics.SCORES, 0, 5, b"c1", b"{"),
    "other-type": Record(topics.SCORES, 0, 5, b"c1", b'{"type": "SegmentChanged"}'),
    "bad-time": Record(topics.SCORES, 0, 5, b"c1", msgspec.json.encode(score("e", "c1", as_of="yesterday"))),
    "too-large": Record(topics.SCORES, 0, 5, b"c1", msgspec.json.encode(score("e", "c1", revenue_minor=2**63))),
    "tombstone-without-key": Record(topics.SCORES, 0, 5, None, None),
    "tombstone-of-bad-key": Record(topics.SCORES, 0, 5, b"\xff", None),
    "no-value": Record(topics.SEGMENT_CHANGES, 0, 5, b"c1", None),
    "no-headers": Record(topics.DEAD_LETTERS, 0, 5, b"c1", b"x"),
    "state-without-key": Record(CHANGELOG, 0, 5, None, b"x"),
}


@pytest.mark.parametrize("record", _UNREADABLE.values(), ids=_UNREADABLE.keys())
def test_what_nobody_can_read_becomes_a_dead_letter(record: Record) -> None:
    """Such a record is kept with its own position, its offset is passed, and its neighbours are stored."""
    good = OutputTopics()
    good.score("e1", "c9")
    found = batch([*good.records, record])
    kept = [(row["topic"], row["offset"], row["reason"], row["value"]) for row in found.dead_letters]
    assert kept == [(record.topic, 5, "undecodable", record.value)]
    assert found.reached[record.topic, 0].next_offset == 6
    assert list(found.customers) == ["c9"]
