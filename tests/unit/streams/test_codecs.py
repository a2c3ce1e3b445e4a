"""Outcomes as records: topic, key, headers, value."""

from __future__ import annotations

import msgspec
import pytest

from clv import topics
from clv.events import MAX_VALUE_BYTES
from clv.outcomes import (
    BudgetSignal,
    DeadLetter,
    Erased,
    ModelAnnounced,
    OutputEvent,
    Score,
    SegmentChange,
    SegmentSignal,
    TrainingExample,
    WatermarkPassed,
)
from clv.testing import PartitionRig, order, tick
from streams.codecs import Produced, to_record

DAY = 86_400


def _pipeline_outcomes() -> dict[str, OutputEvent]:
    """One of each event that the pipeline gives out."""
    rig = PartitionRig()
    outcomes = rig.feed([order("müller", "o1", 1_000 * DAY, "19.90"), tick(1_200 * DAY)])
    return {type(o).__name__: o for o in outcomes if isinstance(o, OutputEvent)}


SIGNAL = SegmentSignal("Low-CLV", 1, 2, 2, 0.15, 5, 5, 1, "caps")
EVENTS = _pipeline_outcomes() | {
    "BudgetSignal": BudgetSignal("b1", "p1", "2024-01-01T00:00:00Z", "baseline", "USD", 30, SIGNAL, []),
    "ModelAnnounced": ModelAnnounced("m1", "scorer", "000001-ab", "d" * 64, "2024-01-01T00:00:00Z", "f", {"mae": 1.0}),
}


@pytest.mark.parametrize(
    ("name", "topic", "key", "ce_type"),
    [
        ("Score", topics.SCORES, "müller", b"clv.CustomerScored.v1"),
        ("SegmentChange", topics.SEGMENT_CHANGES, "müller", b"clv.SegmentChanged.v1"),
        ("TrainingExample", topics.TRAINING_EXAMPLES, "müller", b"clv.LabelMatured.v1"),
        ("WatermarkPassed", topics.TRAINING_EXAMPLES, "partition-0", b"clv.WatermarkPassed.v1"),
        ("BudgetSignal", topics.BUDGET_SIGNALS, "Low-CLV", b"clv.BudgetProposed.v1"),
        ("ModelAnnounced", topics.MODELS, "scorer", b"clv.ModelAnnounced.v1"),
    ],
)
def test_events_have_their_topic_key_and_cloudevents_headers(name: str, topic: str, key: str, ce_type: bytes) -> None:
    """Each event goes to its topic under its key, names its type, id and time in headers, and can be read back."""
    event = EVENTS[name]
    record = to_record(event)
    headers = dict(record.headers)
    assert (record.topic, record.key) == (topic, key.encode())
    assert (headers["ce_type"], headers["ce_id"]) == (ce_type, event.event_id.encode())
    assert (headers["ce_specversion"], headers["content-type"]) == (b"1.0", b"application/json")
    assert headers["ce_time"].endswith(b"Z")
    assert len(headers) == len(record.headers) == 6
    assert record.value is not None
    assert event == msgspec.json.decode(record.value, type=type(event))


def test_every_output_event_is_covered() -> None:
    """The table above knows all types of events that go out."""
    expected = {Score, SegmentChange, TrainingExample, WatermarkPassed, BudgetSignal, ModelAnnounced}
    assert expected == {type(event) for event in EVENTS.values()}


def test_an_erasure_is_a_tombstone() -> None:
    """The compacted topic of scores forgets the customer."""
    assert Produced(topics.SCORES, b"c1", None, []) == to_record(Erased("c1", 5))


@pytest.mark.parametrize(
    ("key", "value"), [(None, None), (b"", b""), (b"\xff", b"\xfe"), (b"k", b"x" * MAX_VALUE_BYTES)]
)
def test_a_dead_letter_is_what_was_sent(key: bytes | None, value: bytes | None) -> None:
    """Key and value are untouched, down to none at all; why and where are in the headers, which stay short."""
    record = to_record(DeadLetter(key, value, "undecodable", "détail \ud800", "orders", 3, 2**40))
    assert (record.topic, record.key, record.value) == (topics.DEAD_LETTERS, key, value)
    headers = dict(record.headers)
    again = to_record(DeadLetter(key, value, "undecodable", "", "orders", 3, 2**40))
    elsewhere = to_record(DeadLetter(key, value, "undecodable", "", "orders", 3, 2**40 + 1))
    identity = headers.pop("ce_id")
    assert identity == dict(again.headers)["ce_id"] != dict(elsewhere.headers)["ce_id"]
    assert headers == {
        "ce_specversion": b"1.0",
        "ce_source": b"/clv/scorer",
        "ce_type": b"clv.DeadLetter.v1",
        "content-type": b"application/octet-stream",
        "clv-reason": b"undecodable",
        "clv-detail": "détail ?".encode(),
        "clv-topic": b"orders",
        "clv-partition": b"3",
        "clv-offset": str(2**40).encode(),
    }


def test_the_largest_rubbish_fits_into_the_dead_letter_topic() -> None:
    """A value as large as the orders topic takes stays within the dead-letter topic's limit, headers included."""
    limit = next(spec.max_message_bytes for spec in topics.TOPICS if spec.name == topics.DEAD_LETTERS)
    body = (
        b'{"type":"EmailEngaged","event_id":"e","customer_id":"c","occurred_at":1,"schema_version":1,"campaign_id":"x",'
    )
    value = body + b'"action":"' + b"x" * (MAX_VALUE_BYTES - 200) + b'"}'
    (letter,) = (o for o in PartitionRig().feed([(b"c", value)]) if isinstance(o, DeadLetter))
    record = to_record(letter)
    size = len(record.value or b"") + sum(len(name) + len(text) for name, text in record.headers)
    assert size + 10_000 < limit
