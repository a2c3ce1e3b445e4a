"""Events that go out: what the pipeline decides, as the output topics carry it.

Every event's ``event_id`` is a function of its cause and of the model and policy versions used, so that a
redelivered cause gives the same id and the same content. Money is integer minor units beside a ``currency``;
moments are epoch milliseconds UTC (``_ms``) inside and RFC 3339 text (``_at``) on the wire.
"""

from __future__ import annotations

import hashlib
from datetime import date
from functools import lru_cache
from typing import Literal

import msgspec

from clv.errors import EventError

UNREADABLE = (ValueError, RecursionError, msgspec.MsgspecError, EventError)
"""What decoding an outcome, and reading its moments, raises over bytes that are none: not JSON, not text, too deep."""
Segment = Literal["High-CLV", "Growth-Potential", "Low-CLV"]
SEGMENTS: tuple[Segment, ...] = ("High-CLV", "Growth-Potential", "Low-CLV")
Reason = Literal["order", "refund", "silence", "engagement", "policy_changed", "model_changed"]
Confidence = Literal["High", "Medium", "Low"]


class ModelVersions(msgspec.Struct, frozen=True):
    """Which models and policy answered; empty text where none has been published yet.

    ``scorer`` names the snapshot that holds the other models; ``learned_through_at`` is the latest event time that
    influenced any of them.
    """

    scorer: str = ""
    btyd: str = ""
    online: str = ""
    ensemble: str = ""
    policy: str = ""
    champion: str = "prior"
    learned_through_at: str = ""
    glm: str = ""


class Score(msgspec.Struct, frozen=True, tag_field="type", tag="CustomerScored"):
    """A customer's CLV over the horizon, as of ``as_of`` (topic ``clv.scores.v1``)."""

    event_id: str
    customer_id: str
    as_of: str
    cause: str
    reason: Reason
    currency: str
    horizon_days: int
    clv_minor: int
    clv_lower_minor: int
    clv_upper_minor: int
    clv_year_minor: int
    confidence: Confidence
    churn_probability: float
    expected_next_order_at: str
    segment: Segment | None
    models: ModelVersions
    btyd_minor: float
    online_minor: float
    ensemble_minor: float
    order_count: int
    revenue_minor: int
    refunded_minor: int
    first_order_at: str
    last_order_at: str
    acquisition_source: str
    campaign_type: str
    glm_minor: float = 0.0
    schema_version: int = 1


class SegmentChange(msgspec.Struct, frozen=True, tag_field="type", tag="SegmentChanged"):
    """A customer moved to another segment (topic ``clv.segment-changes.v1``); ``from_segment`` null at first."""

    event_id: str
    customer_id: str
    as_of: str
    cause: str
    reason: Reason
    from_segment: Segment | None
    to_segment: Segment
    clv_before_minor: int
    clv_after_minor: int
    currency: str
    models: ModelVersions
    schema_version: int = 1


class TrainingExample(msgspec.Struct, frozen=True, tag_field="type", tag="LabelMatured"):
    """Features as scored at ``as_of`` and the value realised in (as_of, as_of + horizon].

    ``features`` in the order of ``clv.features.FEATURE_NAMES``; ``btyd_minor`` and so on are the single models'
    predictions of that moment, ``clv_minor`` the score that was given out.
    """

    event_id: str
    customer_id: str
    as_of: str
    matured_at: str
    moment: Literal["order", "silence"]
    horizon_days: int
    feature_digest: str
    features: list[float]
    acquisition_source: str
    campaign_type: str
    clv_minor: float
    btyd_minor: float
    online_minor: float
    ensemble_minor: float
    naive_minor: float
    scorer_version: str
    value_minor: int
    currency: str
    glm_minor: float = 0.0
    schema_version: int = 1


class WatermarkPassed(msgspec.Struct, frozen=True, tag_field="type", tag="WatermarkPassed"):
    """A partition's time has come this far; follows every example that matured before it on the same partition.

    Written when the watermark enters another event-day and for every Tick; ``counts`` are the partition's totals
    since it was created: received, applied, duplicate, late, dead, ticks.
    """

    event_id: str
    partition: int
    watermark_at: str
    incarnation: str
    applied_offset: int
    counts: dict[str, int]
    schema_version: int = 1


class SegmentSignal(msgspec.Struct, frozen=True):
    """One segment's part of a budget signal."""

    segment: Segment
    customers: int
    total_clv_minor: int
    mean_clv_minor: int
    share: float
    amount_minor: int
    baseline_amount_minor: int
    cac_target_minor: int
    strategy: str
    binding_constraint: str = ""


class BudgetSignal(msgspec.Struct, frozen=True, tag_field="type", tag="BudgetProposed"):
    """A proposed split of the budget, never an executed one (topic ``clv.budget-signals.v1``, key: segment).

    One event a segment; the events of one proposal share ``proposal_id``.
    """

    event_id: str
    proposal_id: str
    as_of: str
    method: str
    currency: str
    total_budget_minor: int
    signal: SegmentSignal
    warnings: list[str]
    schema_version: int = 1


class ModelAnnounced(msgspec.Struct, frozen=True, tag_field="type", tag="ModelAnnounced"):
    """A model or policy version was published (topic ``clv.models.v1``, key: ``name``).

    ``name`` is btyd, glm, online, ensemble, scorer or segment-policy; the artifact lies in the SQL store under
    ``digest`` (SHA-256, hexadecimal) and must be checked against it. A worker at event time τ uses only what has
    ``learned_through_at`` ≤ τ. A scorer's says who answers, ``champion``; where that was another in the version
    before, ``champion_before`` and ``switch_cause`` (fitted, error, promote, rollback, unpin) say so, else they are
    empty. The evidence is in the SQL store's ``model_events``.
    """

    event_id: str
    name: str
    version: str
    digest: str
    learned_through_at: str
    feature_digest: str
    metrics: dict[str, float]
    schema_version: int = 1
    champion: str = ""
    champion_before: str = ""
    switch_cause: str = ""


ExampleTopicEvent = TrainingExample | WatermarkPassed
OutputEvent = Score | SegmentChange | TrainingExample | WatermarkPassed | BudgetSignal | ModelAnnounced


class DeadLetter(msgspec.Struct, frozen=True):
    """A record that could not be applied: its bytes untouched, why, and where it lay."""

    key: bytes | None
    value: bytes | None
    reason: str
    detail: str
    topic: str
    partition: int
    offset: int


class Erased(msgspec.Struct, frozen=True):
    """A customer is to vanish from everything downstream: becomes a tombstone on ``clv.scores.v1``."""

    customer_id: str
    erased_ms: int


Outcome = Score | SegmentChange | TrainingExample | WatermarkPassed | DeadLetter | Erased


def event_id(*cause: str | int) -> str:
    """Return a deterministic id of 32 hexadecimal digits for an event with this cause.

    Examples
    --------
    >>> event_id("score", "c1", "e1", "v3") == event_id("score", "c1", "e1", "v3")
    True
    """
    text = "\x1f".join([str(part) for part in cause])
    if "\x1e" in text or text.count("\x1f") >= len(cause):
        # A part that holds the separator must not read like two parts.
        text = "\x1f".join([str(part).replace("\x1e", "\x1e\x1e").replace("\x1f", "\x1e\x1f") for part in cause])
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


_SECONDS = tuple(f"{second:02d}Z" for second in range(60))
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()


def rfc3339(at_ms: int) -> str:
    """Write epoch milliseconds as RFC 3339 in UTC; empty text for a negative one (unknown).

    Examples
    --------
    >>> rfc3339(86_400_000), rfc3339(1_500), rfc3339(-1)
    ('1970-01-02T00:00:00Z', '1970-01-01T00:00:01.500Z', '')
    """
    if at_ms < 0:
        return ""
    day, rest = divmod(at_ms, 86_400_000)
    minute, rest = divmod(rest, 60_000)
    second, ms = divmod(rest, 1000)
    # Put together from remembered parts: formatting numbers anew takes twice as long, and a score has four times.
    end = f"{second:02d}.{ms:03d}Z" if ms else _SECONDS[second]
    return f"{_date(day)}{_minute(minute)}{end}"


@lru_cache(maxsize=4096)
def _date(day: int) -> str:
    return date.fromordinal(_EPOCH_ORDINAL + day).isoformat()


@lru_cache(maxsize=1440)
def _minute(of_day: int) -> str:
    return f"T{of_day // 60:02d}:{of_day % 60:02d}:"
