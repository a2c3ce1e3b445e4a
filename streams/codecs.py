"""Outcomes as Kafka carries them: topic, key, JSON value, CloudEvents headers."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import msgspec

from clv import topics
from clv.outcomes import (
    BudgetSignal,
    DeadLetter,
    Erased,
    ModelAnnounced,
    Outcome,
    Score,
    SegmentChange,
    TrainingExample,
    WatermarkPassed,
    event_id,
)

SOURCE = b"/clv/scorer"
Headers = list[tuple[str, bytes]]
_FIXED: Headers = [
    ("ce_specversion", b"1.0"),
    ("ce_source", SOURCE),
    ("content-type", b"application/json"),
]
_TYPES: dict[type, bytes] = {
    Score: b"clv.CustomerScored.v1",
    SegmentChange: b"clv.SegmentChanged.v1",
    TrainingExample: b"clv.LabelMatured.v1",
    WatermarkPassed: b"clv.WatermarkPassed.v1",
    BudgetSignal: b"clv.BudgetProposed.v1",
    ModelAnnounced: b"clv.ModelAnnounced.v1",
}
_encode = msgspec.json.Encoder().encode


class Produced(NamedTuple):
    """One record to produce."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers


def to_record(outcome: Outcome | BudgetSignal | ModelAnnounced) -> Produced:
    """Write an outcome as the record of its topic."""
    if isinstance(outcome, Score):
        return _event(topics.SCORES, outcome.customer_id, outcome, outcome.as_of)
    if isinstance(outcome, SegmentChange):
        return _event(topics.SEGMENT_CHANGES, outcome.customer_id, outcome, outcome.as_of)
    if isinstance(outcome, TrainingExample):
        return _event(topics.TRAINING_EXAMPLES, outcome.customer_id, outcome, outcome.matured_at)
    if isinstance(outcome, WatermarkPassed):
        return _event(topics.TRAINING_EXAMPLES, f"partition-{outcome.partition}", outcome, outcome.watermark_at)
    if isinstance(outcome, BudgetSignal):
        return _event(topics.BUDGET_SIGNALS, outcome.signal.segment, outcome, outcome.as_of)
    if isinstance(outcome, ModelAnnounced):
        return _event(topics.MODELS, outcome.name, outcome, outcome.learned_through_at)
    if isinstance(outcome, Erased):
        return Produced(topics.SCORES, outcome.customer_id.encode(), None, [])
    return _dead_letter(outcome)


def _event(
    topic: str,
    key: str,
    event: Score | SegmentChange | TrainingExample | WatermarkPassed | BudgetSignal | ModelAnnounced,
    time: str,
) -> Produced:
    headers = [
        *_FIXED,
        ("ce_type", _TYPES[type(event)]),
        ("ce_id", event.event_id.encode()),
        ("ce_time", time.encode()),
    ]
    return Produced(topic, key.encode(), _encode(event), headers)


def _dead_letter(letter: DeadLetter) -> Produced:
    content = hashlib.blake2b(letter.value or b"", digest_size=16).hexdigest()
    identity = event_id("dead-letter", letter.topic, letter.partition, letter.offset, content)
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_source", SOURCE),
        ("ce_type", b"clv.DeadLetter.v1"),
        ("ce_id", identity.encode()),
        ("content-type", b"application/octet-stream"),
        ("clv-reason", letter.reason.encode()),
        ("clv-detail", letter.detail.encode("utf-8", "replace")),
        ("clv-topic", letter.topic.encode()),
        ("clv-partition", str(letter.partition).encode()),
        ("clv-offset", str(letter.offset).encode()),
    ]
    return Produced(topics.DEAD_LETTERS, letter.key, letter.value, headers)
