"""From moments to outcomes: score them in one call, decide segments in order, write the events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec
import numpy as np

from clv.features import FEATURE_DIGEST, FEATURE_NAMES
from clv.outcomes import (
    Confidence,
    ModelVersions,
    Outcome,
    Reason,
    Score,
    Segment,
    SegmentChange,
    TrainingExample,
    event_id,
    rfc3339,
)
from clv.segments import decide
from clv.state import Pending, pack_floats, unpack_floats

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clv.moments import Moment
    from clv.ports import ScoreBatch, Scorer
    from clv.rules import Rules
    from clv.segments import Policies, SegmentPolicy

MEDIUM_WIDTH = 4.0
HIGH_WIDTH = 2.0
"""Interval width over prediction: at most 2 is High confidence, at most 4 Medium, above it Low."""


class Judgement(NamedTuple):
    """What a batch is judged by."""

    scorer: Scorer
    policies: Policies
    rules: Rules


class _Answer(NamedTuple):
    """One moment's numbers, as plain Python values; money in whole minor units where it is given out."""

    clv: int
    lower: int
    upper: int
    year: int
    churn: float
    next_order_ms: int
    single: tuple[float, float, float, float, float, float]
    version: int
    has_minimum_data: bool


class _Versions:
    """Versions of a batch with the policies in force, each put together once."""

    def __init__(self, versions: Sequence[ModelVersions]) -> None:
        self._versions = versions
        self._made: dict[tuple[int, str], ModelVersions] = {}

    def with_policy(self, number: int, policy: SegmentPolicy | None) -> ModelVersions:
        """Return the models' versions with the policy's, if there is one."""
        if policy is None:
            return self._versions[number]
        key = (number, policy.version)
        made = self._made.get(key)
        if made is None:
            made = self._made[key] = msgspec.structs.replace(self._versions[number], policy=policy.version)
        return made


def judge(moments: Sequence[Moment], judgement: Judgement) -> dict[int, list[Outcome]]:
    """Score moments, fill their snapshots, and return what each emitted one gives out, by ``id(moment)``.

    Segments follow one another per customer in the order of the moments; the states' segment and last score change.
    """
    if not moments:
        return {}
    features = np.array([m.features for m in moments], dtype=np.float64)
    as_of = np.array([m.as_of_ms for m in moments], dtype=np.int64)
    scores = judgement.scorer.score(features, as_of)
    outcomes: dict[int, list[Outcome]] = {}
    versions = _Versions(scores.versions)
    for moment, answer in zip(moments, _answers(scores), strict=True):
        if moment.pending is not None:
            moment.pending.scored = pack_floats((*moment.features, *answer.single))
            moment.pending.scorer_version = scores.versions[answer.version].scorer
        if moment.is_emitted:
            outcomes[id(moment)] = _give_out(moment, answer, versions, judgement)
    return outcomes


def _answers(scores: ScoreBatch) -> list[_Answer]:
    money = np.rint(np.stack((scores.clv, scores.lower, scores.upper, scores.clv_year))).astype(np.int64)
    single = np.stack((scores.clv, scores.btyd, scores.glm, scores.online, scores.ensemble, scores.naive), axis=1)
    return [
        _Answer(*row)
        for row in zip(
            *money.tolist(),
            scores.churn_probability.tolist(),
            scores.next_order_ms.tolist(),
            map(tuple, single.tolist()),
            scores.version.tolist(),
            scores.has_minimum_data.tolist(),
            strict=True,
        )
    ]


def _give_out(moment: Moment, answer: _Answer, versions: _Versions, judgement: Judgement) -> list[Outcome]:
    state = moment.state
    policy = judgement.policies.at(moment.as_of_ms)
    if moment.reason == "model_changed":
        moment.reason = _asked_reason(moment, versions.with_policy(answer.version, policy))
    before: Segment | None = state.segment
    segment = decide(answer.clv, before, policy) if policy else before
    score = _score(moment, answer, versions.with_policy(answer.version, policy), segment, judgement.rules)
    result: list[Outcome] = [score]
    if segment is not None and segment != before:
        result.append(_change(moment, score, before, segment, judgement.policies))
    state.segment = segment
    state.clv_minor = answer.clv
    state.scorer_version = score.models.scorer
    state.policy_version = score.models.policy
    return result


def _score(
    moment: Moment,
    answer: _Answer,
    versions: ModelVersions,
    segment: Segment | None,
    rules: Rules,
) -> Score:
    totals = moment.totals
    _, btyd, glm, online, ensemble, _ = answer.single
    return Score(
        event_id("score", moment.customer_id, moment.cause, versions.scorer, versions.policy),
        moment.customer_id,
        rfc3339(moment.as_of_ms),
        moment.cause,
        moment.reason,
        rules.currency,
        rules.horizon_days,
        answer.clv,
        answer.lower,
        answer.upper,
        answer.year,
        confidence_of(answer.clv, answer.lower, answer.upper, has_minimum_data=answer.has_minimum_data),
        answer.churn,
        rfc3339(answer.next_order_ms),
        segment,
        versions,
        btyd,
        online,
        ensemble,
        totals.order_count,
        totals.revenue_minor,
        totals.refunded_minor,
        rfc3339(totals.first_order_ms),
        rfc3339(totals.last_order_ms),
        moment.source,
        moment.campaign_type,
        glm,
    )


def confidence_of(clv_minor: int, lower_minor: int, upper_minor: int, *, has_minimum_data: bool) -> Confidence:
    """Return how far an answer can be trusted: by its interval's width over itself, Low below the minimum of data."""
    width = (upper_minor - lower_minor) / max(clv_minor, 1)
    if not has_minimum_data or width > MEDIUM_WIDTH:
        return "Low"
    return "High" if width <= HIGH_WIDTH else "Medium"


def _change(moment: Moment, score: Score, before: Segment | None, after: Segment, policies: Policies) -> SegmentChange:
    state = moment.state
    return SegmentChange(
        event_id("segment", score.event_id),
        moment.customer_id,
        score.as_of,
        moment.cause,
        _reason(moment, score, before, policies),
        before,
        after,
        max(state.clv_minor, 0),
        score.clv_minor,
        score.currency,
        score.models,
    )


def _asked_reason(moment: Moment, versions: ModelVersions) -> Reason:
    """Say why a score that was asked for may differ from the one before: another model, another policy, or time."""
    if versions.scorer != moment.state.scorer_version:
        return "model_changed"
    return "policy_changed" if versions.policy != moment.state.policy_version else "silence"


def _reason(moment: Moment, score: Score, before: Segment | None, policies: Policies) -> Reason:
    """Say what moved the customer: its own event, unless the new policy or model alone explains the change."""
    state = moment.state
    if before is None:
        return "policy_changed" if state.clv_minor >= 0 and moment.reason == "silence" else moment.reason
    if score.models.policy != state.policy_version:
        old_policy = policies.named(state.policy_version)
        if old_policy and decide(score.clv_minor, before, old_policy) == before:
            return "policy_changed"
    has_risen = score.clv_minor > state.clv_minor
    if has_risen and moment.reason in ("silence", "refund") and score.models.scorer != state.scorer_version:
        # Neither silence nor a refund raises a score: only another model can have.
        return "model_changed"
    return moment.reason


def matured_example(
    customer_id: str, pending: Pending, source: str, campaign_type: str, rules: Rules
) -> TrainingExample:
    """Write the training example of a label that has matured: features as scored then, net value since."""
    *features, clv, btyd, glm, online, ensemble, naive = unpack_floats(pending.scored)
    assert len(features) == len(FEATURE_NAMES)
    moment: Literal["order", "silence"] = "silence" if pending.is_silence else "order"
    return TrainingExample(
        event_id("example", customer_id, pending.at_ms, moment, pending.scorer_version),
        customer_id,
        rfc3339(pending.at_ms),
        rfc3339(pending.at_ms + rules.horizon_ms),
        moment,
        rules.horizon_days,
        FEATURE_DIGEST,
        features,
        source,
        campaign_type,
        clv,
        btyd,
        online,
        ensemble,
        naive,
        pending.scorer_version,
        max(pending.value_minor, 0),
        rules.currency,
        glm,
    )
