"""Records of the scores and segment changes to rows of SQL: a pure function, and what it makes of first purchases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import structlog

from clv.erasure import digest_of
from clv.events import parse_time_ms
from clv.masking import logged_id
from clv.outcomes import UNREADABLE, Score, SegmentChange, event_id
from clv.topics import SCORES, SEGMENT_CHANGES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

log = structlog.get_logger(__name__)
TOPICS = (SCORES, SEGMENT_CHANGES)
Row = dict[str, Any]
_scores = msgspec.json.Decoder(Score)
_changes = msgspec.json.Decoder(SegmentChange)


class Record(Protocol):
    """What is needed of a consumed record; kafka-python's ``ConsumerRecord`` is one."""

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
        """Its key: the customer's id."""
        ...

    @property
    def value(self) -> bytes | None:
        """Its value; none where a customer was erased."""
        ...

    @property
    def headers(self) -> Sequence[tuple[str, bytes]]:
        """Its headers, in order."""
        ...

    @property
    def timestamp(self) -> int:
        """When it was written, epoch milliseconds."""
        ...


class Read(msgspec.Struct):
    """What a batch of records says, by customer: rows of ``storage.audiences.apply_scores`` and of conversions."""

    scored: dict[str, Row] = {}
    changed: dict[str, Row] = {}
    erased: dict[str, Row] = {}
    conversions: dict[str, Row] = {}


def read_records(records: Iterable[Record], *, key: bytes, conversions_from_ms: int | None = None) -> Read:
    """Return what records say, the last of each customer.

    A record that cannot be read is passed over with an error in the log: the sink, which reads the same topics, makes
    a dead letter of it.

    Parameters
    ----------
    records
        In offset order within each partition.
    key
        Of the suppressions' digests.
    conversions_from_ms
        First purchases since then, epoch milliseconds, are to be told; None for none.
    """
    found = Read()
    for record in records:
        try:
            if record.topic == SEGMENT_CHANGES:
                change = _changes.decode(record.value or b"")
                found.changed[change.customer_id] = {"customer_id": change.customer_id, "reason": change.reason}
            elif record.value is None:
                _erase(found, (record.key or b"").decode(), key, record.timestamp)
            else:
                _add(found, _scores.decode(record.value), conversions_from_ms)
        except UNREADABLE as problem:
            log.error(  # noqa: TRY400  # the traceback says nothing more
                "record cannot be read",
                topic=record.topic,
                partition=record.partition,
                offset=record.offset,
                event_id=logged_id(record.headers),
                problem=type(problem).__name__,
            )
    return found


def _erase(found: Read, customer_id: str, key: bytes, at_ms: int) -> None:
    for rows in (found.scored, found.changed, found.conversions):
        rows.pop(customer_id, None)
    found.erased[customer_id] = {"digest": digest_of(customer_id, key), "cause": "erased", "at_ms": at_ms}


def _add(found: Read, score: Score, conversions_from_ms: int | None) -> None:
    found.scored[score.customer_id] = {
        "customer_id": score.customer_id,
        "segment": score.segment,
        "clv_minor": score.clv_minor,
        "churn_probability": score.churn_probability,
        "order_count": score.order_count,
        "as_of_ms": parse_time_ms(score.as_of),
        "reason": score.reason,
    }
    if conversions_from_ms is None or score.order_count != 1 or score.reason != "order" or not score.first_order_at:
        return
    occurred_ms = parse_time_ms(score.first_order_at)
    if occurred_ms >= conversions_from_ms:
        found.conversions.setdefault(
            score.customer_id,
            {
                "event_id": event_id("conversion", score.customer_id, score.first_order_at),
                "customer_id": score.customer_id,
                "occurred_ms": occurred_ms,
                "value_minor": score.revenue_minor,
                "predicted_minor": score.clv_minor,
                "status": "waiting",
                "detail": "",
                "at_ms": -1,
            },
        )
