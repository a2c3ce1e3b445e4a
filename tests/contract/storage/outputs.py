"""Records of the output topics as a worker writes them, for tests of the sink and of the store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from clv import topics
from clv.outcomes import (
    BudgetSignal,
    ModelAnnounced,
    ModelVersions,
    Score,
    SegmentChange,
    SegmentSignal,
    TrainingExample,
    WatermarkPassed,
)
from storage.batch import Place, Position, SinkBatch
from streams.sink_batches import collect

if TYPE_CHECKING:
    from collections.abc import Iterable

CHANGELOG = "clv-customers-changelog"
IDS = {
    topic: f"id-of-{topic}"
    for topic in (
        *(topics.SCORES, topics.SEGMENT_CHANGES, topics.BUDGET_SIGNALS, topics.TRAINING_EXAMPLES),
        *(topics.MODELS, topics.DEAD_LETTERS, topics.ORDERS, CHANGELOG),
    )
}


class Record(NamedTuple):
    """A consumed record."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


class OutputTopics:
    """Writes records with consecutive offsets into topics of one partition each."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self._ends: dict[str, int] = {}

    def add(self, topic: str, key: bytes | None, value: object, headers: tuple[tuple[str, bytes], ...] = ()) -> Record:
        """Append a record; ``value`` is bytes, none, or a struct to be encoded."""
        payload = value if value is None or isinstance(value, bytes) else msgspec.json.encode(value)
        offset = self._ends.get(topic, 0)
        self._ends[topic] = offset + 1
        self.records.append(Record(topic, 0, offset, key, payload, headers))
        return self.records[-1]

    def score(self, event_id: str, customer_id: str, **changes: Any) -> Record:
        """Append a score."""
        return self.add(topics.SCORES, customer_id.encode(), score(event_id, customer_id, **changes))

    def tombstone(self, customer_id: str) -> Record:
        """Append an erased customer's tombstone."""
        return self.add(topics.SCORES, customer_id.encode(), None)

    def change(self, event_id: str, customer_id: str, **changes: Any) -> Record:
        """Append a segment change."""
        return self.add(topics.SEGMENT_CHANGES, customer_id.encode(), segment_change(event_id, customer_id, **changes))

    def example(self, event_id: str, customer_id: str, **changes: Any) -> Record:
        """Append a training example."""
        return self.add(topics.TRAINING_EXAMPLES, customer_id.encode(), example(event_id, customer_id, **changes))

    def watermark(self, watermark_at: str, **counts: int) -> Record:
        """Append a watermark of partition 0."""
        event = WatermarkPassed(f"w-{watermark_at}", 0, watermark_at, "id-of-orders", 41, counts)
        return self.add(topics.TRAINING_EXAMPLES, None, event)

    def dead_letter(self, offset: int, key: bytes | None = b"c1", reason: str = "bad_amount") -> Record:
        """Append a dead letter whose original lay in the orders topic at ``offset``."""
        headers = (
            ("clv-reason", reason.encode()),
            ("clv-detail", b"an amount is negative"),
            ("clv-topic", topics.ORDERS.encode()),
            ("clv-partition", b"0"),
            ("clv-offset", str(offset).encode()),
        )
        return self.add(topics.DEAD_LETTERS, key, b"\xff\x00 raw", headers)

    def state(self, key: bytes, row: bytes | None) -> Record:
        """Append a changelog record."""
        return self.add(CHANGELOG, key, row)

    def batch(self, expected: dict[Place, Position] | None = None) -> SinkBatch:
        """Collect everything so far, as a sink that finds the database at ``expected`` (default: empty)."""
        return batch(self.records, expected)


def batch(records: Iterable[Record], expected: dict[Place, Position] | None = None) -> SinkBatch:
    """Collect records for a database that stands at ``expected``, by default at nothing."""
    kept = list(records)
    stands = {(record.topic, record.partition): Position() for record in kept} | (expected or {})
    return collect(kept, expected=stands, ids=IDS, changelog=CHANGELOG)


def score(event_id: str, customer_id: str, **changes: Any) -> Score:
    """Return a score of 100.00 over 90 days."""
    found = Score(
        event_id=event_id,
        customer_id=customer_id,
        as_of="1997-01-02T00:00:00Z",
        cause="order-1",
        reason="order",
        currency="USD",
        horizon_days=90,
        clv_minor=10_000,
        clv_lower_minor=5_000,
        clv_upper_minor=20_000,
        clv_year_minor=30_000,
        confidence="Low",
        churn_probability=0.25,
        expected_next_order_at="",
        segment="Growth-Potential",
        models=ModelVersions(scorer="s1"),
        btyd_minor=9_999.5,
        glm_minor=10_002.75,
        online_minor=10_000.25,
        ensemble_minor=10_001.0,
        order_count=1,
        revenue_minor=1_990,
        refunded_minor=0,
        first_order_at="1997-01-01T00:00:00Z",
        last_order_at="1997-01-02T00:00:00Z",
        acquisition_source="search",
        campaign_type="",
    )
    return msgspec.structs.replace(found, **changes)


def segment_change(event_id: str, customer_id: str, **changes: Any) -> SegmentChange:
    """Return a change from Growth-Potential to High-CLV."""
    found = SegmentChange(
        event_id=event_id,
        customer_id=customer_id,
        as_of="1997-01-02T00:00:00Z",
        cause="order-1",
        reason="order",
        from_segment="Growth-Potential",
        to_segment="High-CLV",
        clv_before_minor=10_000,
        clv_after_minor=20_000,
        currency="USD",
        models=ModelVersions(scorer="s1"),
    )
    return msgspec.structs.replace(found, **changes)


def example(event_id: str, customer_id: str, **changes: Any) -> TrainingExample:
    """Return an example with three features, matured on 1997-04-02."""
    found = TrainingExample(
        event_id=event_id,
        customer_id=customer_id,
        as_of="1997-01-02T00:00:00Z",
        matured_at="1997-04-02T00:00:00Z",
        moment="order",
        horizon_days=90,
        feature_digest="d1",
        features=[1.0, 0.1, -3.25],
        acquisition_source="search",
        campaign_type="",
        clv_minor=100.5,
        btyd_minor=99.5,
        glm_minor=98.25,
        online_minor=101.5,
        ensemble_minor=100.5,
        naive_minor=80.0,
        scorer_version="s1",
        value_minor=2_500,
        currency="USD",
    )
    return msgspec.structs.replace(found, **changes)


def budget_signal(event_id: str) -> BudgetSignal:
    """Return half of a budget of 10,000.00 for High-CLV."""
    signal = SegmentSignal("High-CLV", 2, 40_000, 20_000, 0.5, 500_000, 500_000, 6_000, "value optimisation")
    return BudgetSignal(event_id, "p1", "1997-01-02T00:00:00Z", "baseline", "USD", 1_000_000, signal, ["no response"])


def announcement(version: str, learned_through_at: str = "1997-04-02T00:00:00Z") -> ModelAnnounced:
    """Return an announcement of the online model."""
    return ModelAnnounced(f"m-{version}", "online", version, "0" * 64, learned_through_at, "d1", {"deviance": 1.5})
