"""Records of the output topics and the changelog to the rows of one SQL transaction: a pure function.

``streams.sink`` reads the records and stores the batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import structlog

from clv import topics
from clv.events import parse_time_ms
from clv.masking import logged_id
from clv.outcomes import (
    UNREADABLE,
    BudgetSignal,
    ExampleTopicEvent,
    ModelAnnounced,
    Score,
    SegmentChange,
    TrainingExample,
)
from storage.batch import Position, SinkBatch
from storage.examples import pack_features

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from clv.outcomes import WatermarkPassed
    from storage.batch import Place, Row

log = structlog.get_logger(__name__)

UNDECODABLE = "undecodable"
_BIGINT = 2**63
_INTEGER = 2**31
_NARROW = frozenset({"partition", "horizon_days"})
"""Columns of 32 bits."""
_MOST_KEY_BYTES = 2_000
_KEYS = frozenset({"event_id", "score_event_id", "customer_id", "topic", "reason", "name", "version"})
"""Texts in indexes: a page of PostgreSQL's takes 2,700 bytes, and ours have at most 256 characters."""

_scores = msgspec.json.Decoder(Score)
_changes = msgspec.json.Decoder(SegmentChange)
_signals = msgspec.json.Decoder(BudgetSignal)
_examples = msgspec.json.Decoder(ExampleTopicEvent)
_announcements = msgspec.json.Decoder(ModelAnnounced)


class SinkRecord(Protocol):
    """What the sink needs of a consumed record; aiokafka's ``ConsumerRecord`` is one."""

    @property
    def topic(self) -> str:
        """The topic it lies in."""
        ...

    @property
    def partition(self) -> int:
        """The partition of that topic."""
        ...

    @property
    def offset(self) -> int:
        """Its offset there."""
        ...

    @property
    def key(self) -> bytes | None:
        """Its key."""
        ...

    @property
    def value(self) -> bytes | None:
        """Its value; none for a tombstone."""
        ...

    @property
    def headers(self) -> Sequence[tuple[str, bytes]]:
        """Its headers, in order."""
        ...


def collect(
    records: Iterable[SinkRecord], *, expected: Mapping[Place, Position], ids: Mapping[str, str], changelog: str
) -> SinkBatch:
    """Turn records into one batch.

    Parameters
    ----------
    records
        In offset order within each partition; every partition must be in ``expected``.
    expected
        Where the database stands.
    ids
        Topic ids by name; an unknown topic's is empty.
    changelog
        Name of the customers table's changelog.

    Notes
    -----
    A record that cannot be read becomes a dead letter at its own position and an error in the log; it never raises.
    A tombstone on the scores topic removes the customer's earlier scores from the batch too.
    """
    batch = SinkBatch()
    for record in records:
        place = (record.topic, record.partition)
        batch.expected.setdefault(place, expected[place])
        batch.reached[place] = Position(ids.get(record.topic, ""), record.offset + 1)
        try:
            if record.topic == changelog:
                _add_state(batch, record)
            else:
                _ADDERS[record.topic](batch, record, ids)
        except (KeyError, *UNREADABLE) as problem:
            _reject(batch, record, ids, problem)
    return batch


def _add_state(batch: SinkBatch, record: SinkRecord) -> None:
    if record.key is None:
        raise ValueError("a changelog record has no key")
    if len(record.key) > _MOST_KEY_BYTES:
        raise ValueError("a changelog record's key is no customer's")
    batch.states[record.partition, record.key] = record.value


def _add_score(batch: SinkBatch, record: SinkRecord, _: Mapping[str, str]) -> None:
    if record.value is None:
        _add_tombstone(batch, record)
        return
    score = _scores.decode(record.value)
    shared = {
        "customer_id": score.customer_id,
        "partition": record.partition,
        "segment": score.segment,
        "clv_minor": score.clv_minor,
        "clv_lower_minor": score.clv_lower_minor,
        "clv_upper_minor": score.clv_upper_minor,
        "clv_year_minor": score.clv_year_minor,
        "horizon_days": score.horizon_days,
        "currency": score.currency,
        "confidence": score.confidence,
        "churn_probability": score.churn_probability,
        "expected_next_order_ms": _ms(score.expected_next_order_at),
        "as_of_ms": _ms(score.as_of),
        "cause": score.cause,
        "reason": score.reason,
        "btyd_minor": score.btyd_minor,
        "glm_minor": score.glm_minor,
        "online_minor": score.online_minor,
        "ensemble_minor": score.ensemble_minor,
        "model_versions": _json(score.models),
        "order_count": score.order_count,
        "revenue_minor": score.revenue_minor,
        "refunded_minor": score.refunded_minor,
    }
    customer = {
        "first_order_ms": _ms(score.first_order_at),
        "last_order_ms": _ms(score.last_order_at),
        "acquisition_source": score.acquisition_source,
        "campaign_type": score.campaign_type,
        "score_event_id": score.event_id,
    }
    row = _storable(shared | customer)
    batch.customers[row["customer_id"]] = row
    batch.history.append((row["customer_id"], row))
    batch.scores.append({"event_id": row["score_event_id"], **{name: row[name] for name in shared}})


def _add_tombstone(batch: SinkBatch, record: SinkRecord) -> None:
    if record.key is None:
        raise ValueError("a tombstone has no key")
    if len(record.key) > _MOST_KEY_BYTES:
        raise ValueError("a tombstone's key is no customer's")
    customer_id = _without_nul(record.key.decode())
    batch.erased[customer_id] = record.key
    batch.history.append((customer_id, None))
    if batch.customers.pop(customer_id, None):
        batch.scores[:] = [row for row in batch.scores if row["customer_id"] != customer_id]


def _add_change(batch: SinkBatch, record: SinkRecord, _: Mapping[str, str]) -> None:
    change = _changes.decode(record.value or b"")
    row = {
        "event_id": change.event_id,
        "customer_id": change.customer_id,
        "as_of_ms": _ms(change.as_of),
        "cause": change.cause,
        "reason": change.reason,
        "from_segment": change.from_segment,
        "to_segment": change.to_segment,
        "clv_before_minor": change.clv_before_minor,
        "clv_after_minor": change.clv_after_minor,
        "currency": change.currency,
        "model_versions": _json(change.models),
        "partition": record.partition,
    }
    batch.segment_changes.append(_storable(row))


def _add_signal(batch: SinkBatch, record: SinkRecord, _: Mapping[str, str]) -> None:
    proposal = _signals.decode(record.value or b"")
    row = {
        "event_id": proposal.event_id,
        "proposal_id": proposal.proposal_id,
        "as_of_ms": _ms(proposal.as_of),
        "method": proposal.method,
        "currency": proposal.currency,
        "total_budget_minor": proposal.total_budget_minor,
        "warnings": _json(proposal.warnings),
        **msgspec.structs.asdict(proposal.signal),
    }
    batch.budget_signals.append(_storable(row))


def _add_example(batch: SinkBatch, record: SinkRecord, _: Mapping[str, str]) -> None:
    event = _examples.decode(record.value or b"")
    if isinstance(event, TrainingExample):
        row = msgspec.structs.asdict(event)
        del row["schema_version"]
        row["as_of_ms"] = _ms(row.pop("as_of"))
        row["matured_ms"] = _ms(row.pop("matured_at"))
        row["features"] = pack_features(event.features)
        batch.training_examples.append(_storable(row))
    else:
        batch.partitions[event.partition] = _storable(_partition_row(event))


def _partition_row(event: WatermarkPassed) -> Row:
    return {
        "partition": event.partition,
        "watermark_ms": _ms(event.watermark_at),
        "incarnation": event.incarnation,
        "applied_offset": event.applied_offset,
        "counts": _json(event.counts),
    }


def _add_announcement(batch: SinkBatch, record: SinkRecord, _: Mapping[str, str]) -> None:
    announced = _announcements.decode(record.value or b"")
    row = {
        "event_id": announced.event_id,
        "name": announced.name,
        "version": announced.version,
        "digest": announced.digest,
        "learned_through_ms": _ms(announced.learned_through_at),
        "feature_digest": announced.feature_digest,
        "metrics": _json(announced.metrics),
    }
    batch.models.append(_storable(row))


def _add_dead_letter(batch: SinkBatch, record: SinkRecord, ids: Mapping[str, str]) -> None:
    # A header may stand there without a value.
    headers = {name: value or b"" for name, value in record.headers}
    topic = headers["clv-topic"].decode()
    row = {
        "topic": topic,
        "incarnation": ids.get(topic, ""),
        "partition": int(headers["clv-partition"]),
        "offset": int(headers["clv-offset"]),
        "key": record.key,
        "value": record.value,
        "reason": headers["clv-reason"].decode(),
        "detail": headers.get("clv-detail", b"").decode(errors="replace"),
    }
    batch.dead_letters.append(_storable(row))


def _reject(batch: SinkBatch, record: SinkRecord, ids: Mapping[str, str], problem: Exception) -> None:
    # What a problem says may hold a piece of the record: it goes to SQL with the record, and not into the log.
    log.error(
        "output record cannot be stored",
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        event_id=logged_id(record.headers),
        problem=type(problem).__name__,
    )
    row = {
        "topic": record.topic,
        "incarnation": ids.get(record.topic, ""),
        "partition": record.partition,
        "offset": record.offset,
        "key": record.key,
        "value": record.value,
        "reason": UNDECODABLE,
        "detail": _without_nul(f"{type(problem).__name__}: {str(problem)[:200]}"),
    }
    batch.dead_letters.append(row)


def _storable(row: Row) -> Row:
    """Return a row that both databases take: PostgreSQL's text has no NUL, integers and keys have an end."""
    for name, value in row.items():
        if isinstance(value, int):
            bound = _INTEGER if name in _NARROW else _BIGINT
            if not -bound <= value < bound:
                raise ValueError(f"{name} does not fit its column")
        elif isinstance(value, str):
            if name in _KEYS and len(value.encode()) > _MOST_KEY_BYTES:
                raise ValueError(f"{name} is longer than any of ours")
            if "\x00" in value:
                row[name] = _without_nul(value)
    return row


def _without_nul(text: str) -> str:
    return text.replace("\x00", "\u2400")


def _ms(moment: str) -> int:
    return parse_time_ms(moment) if moment else -1


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


_ADDERS: dict[str, Callable[[SinkBatch, Any, Mapping[str, str]], None]] = {
    topics.SCORES: _add_score,
    topics.SEGMENT_CHANGES: _add_change,
    topics.BUDGET_SIGNALS: _add_signal,
    topics.TRAINING_EXAMPLES: _add_example,
    topics.MODELS: _add_announcement,
    topics.DEAD_LETTERS: _add_dead_letter,
}
OUTPUT_TOPICS = tuple(_ADDERS)
"""The output topics that the sink stores, in the order of the product's table."""
KEYED_OUTPUT_TOPICS = tuple(spec.name for spec in topics.TOPICS if spec.is_keyed and spec.name in _ADDERS)
"""Those of them whose partition p holds what the worker of partition p emits."""
