"""What a score says: its versions, its confidence, and why a segment changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from clv.outcomes import ModelVersions, Outcome, Score, SegmentChange, event_id
from clv.rules import DAY_MS, Rules
from clv.segments import Policies, SegmentPolicy
from clv.testing import ConstantScorer, PartitionRig, email, order, refund, tick
from clv.verdicts import Judgement

if TYPE_CHECKING:
    from clv.ports import Floats, Ints, ScoreBatch, Scorer

DAY = 86_400
START = 1_000
NO_GUARD = Rules(far_ahead_ms=36_500 * DAY_MS)


class TimesScorer:
    """The constant scorer's answers, multiplied; another version for each factor."""

    def __init__(self, factor: float) -> None:
        self._factor = factor
        self._scorer = ConstantScorer(f"times-{factor}")

    def score(self, features: Floats, as_of_ms: Ints) -> ScoreBatch:
        """Score rows."""
        found = self._scorer.score(features, as_of_ms)
        return msgspec.structs.replace(found, clv=found.clv * self._factor)


class WideScorer:
    """Answers 100 with an interval of a given width, with or without enough data."""

    def __init__(self, width: float, *, has_minimum_data: bool) -> None:
        self._width = width
        self._has_minimum_data = has_minimum_data

    def score(self, features: Floats, as_of_ms: Ints) -> ScoreBatch:
        """Score rows."""
        found = ConstantScorer().score(features, as_of_ms)
        ones = np.ones(len(features))
        return msgspec.structs.replace(
            found,
            clv=100 * ones,
            lower=0 * ones,
            upper=self._width * 100 * ones,
            has_minimum_data=np.full(len(features), self._has_minimum_data),
        )


def judged_by(rig: PartitionRig, scorer: Scorer, *policies: SegmentPolicy) -> None:
    """Swap models and policies between batches."""
    rig.judgement = Judgement(scorer, Policies(policies), NO_GUARD)


def changes(outcomes: list[Outcome]) -> list[tuple[str | None, str, str]]:
    """Segment changes with their reasons."""
    return [(o.from_segment, o.to_segment, o.reason) for o in outcomes if isinstance(o, SegmentChange)]


def policy(version: str, day: float, high: int, growth: int) -> SegmentPolicy:
    """A policy from a day on."""
    return SegmentPolicy(version, round(day * DAY_MS), high, growth)


@pytest.mark.parametrize(
    ("width", "has_minimum_data", "expected"),
    [(2.0, True, "High"), (2.01, True, "Medium"), (4.0, True, "Medium"), (4.01, True, "Low"), (0.0, False, "Low")],
)
def test_confidence_by_the_intervals_width(width: float, has_minimum_data: bool, expected: str) -> None:  # noqa: FBT001 - a parameter of the table
    """At most twice the prediction is High, at most four times Medium; without enough data it is Low."""
    rig = PartitionRig(NO_GUARD)
    judged_by(rig, WideScorer(width, has_minimum_data=has_minimum_data))
    (score,) = (o for o in rig.feed([order("c", "o", START * DAY, "1")]) if isinstance(o, Score))
    assert score.confidence == expected


def test_a_score_names_its_cause_and_versions() -> None:
    """Its id is a function of customer, cause, models and policy; its money is the customer's so far."""
    rig = PartitionRig(NO_GUARD)
    judged_by(rig, ConstantScorer("s7"), policy("p3", 0, 1_000, 500))
    acquisition = {"source": "search", "campaign_type": "brand", "cost": "1"}
    rig.feed([order("c", "o1", START * DAY, "5.00", acquisition=acquisition)])
    records = [order("c", "o2", (START + 1) * DAY, "15.00", event_id="cause")]
    (score,) = (o for o in rig.feed(records) if isinstance(o, Score))
    assert score.event_id == event_id("score", "c", "cause", "s7", "p3")
    assert score.models == ModelVersions(scorer="s7", policy="p3", champion="constant")
    assert (score.clv_minor, score.clv_lower_minor, score.clv_upper_minor, score.clv_year_minor) == (
        1000,
        500,
        1500,
        2000,
    )
    assert (score.order_count, score.revenue_minor, score.refunded_minor) == (2, 2_000, 0)
    assert (score.first_order_at, score.last_order_at) == ("1972-09-27T00:00:00Z", "1972-09-28T00:00:00Z")
    assert (score.acquisition_source, score.campaign_type, score.horizon_days) == ("search", "brand", 90)
    assert (score.segment, score.confidence, score.currency) == ("High-CLV", "High", "USD")


def test_the_customers_own_event_is_the_reason() -> None:
    """An order raises, a refund or an e-mail event lets a change show: the event is the reason."""
    rig = PartitionRig(NO_GUARD)
    judged_by(rig, ConstantScorer(), policy("p", 0, 1_000, 520))
    assert changes(rig.feed([order("c", "o1", START * DAY, "6.00")])) == [(None, "Growth-Potential", "order")]
    found = changes(rig.feed([order("c", "o2", (START + 1) * DAY, "20.00")]))
    assert found == [("Growth-Potential", "High-CLV", "order")]
    found = changes(rig.feed([email("c", "m", (START + 40) * DAY)]))
    assert found == [("High-CLV", "Growth-Potential", "engagement")]
    found = changes(rig.feed([refund("c", "r", (START + 91) * DAY, "20.00", order_id="o2")]))
    assert found == [("Growth-Potential", "Low-CLV", "refund")]


def test_a_new_policy_is_the_reason_where_the_old_one_would_have_kept_the_segment() -> None:
    """The change is the policy's if by the old cut-offs the customer would have stayed."""
    rig = PartitionRig(NO_GUARD)
    old, new = policy("p1", 0, 1_000, 500), policy("p2", START + 10, 3_000, 2_000)
    judged_by(rig, ConstantScorer(), old, new)
    rig.feed([order("c", "o1", START * DAY, "15.00"), order("d", "o2", START * DAY, "15.00")])
    found = changes(rig.feed([order("c", "o3", (START + 11) * DAY, "15.00")]))
    assert found == [("High-CLV", "Low-CLV", "policy_changed")]
    found = changes(rig.feed([order("d", "o4", (START + 11) * DAY, "0.01")]))
    assert found == [("High-CLV", "Low-CLV", "order")]


def test_a_new_model_is_the_reason_for_a_rise_in_silence() -> None:
    """Silence never raises a score: what does is another model."""
    rig = PartitionRig(NO_GUARD)
    judged_by(rig, ConstantScorer(), policy("p", 0, 1_000, 500))
    rig.feed([order("c", "o1", START * DAY, "6.00")])
    judged_by(rig, TimesScorer(10), policy("p", 0, 1_000, 500))
    found = changes(rig.feed([tick((START + 32) * DAY)]))
    assert found == [("Growth-Potential", "High-CLV", "model_changed")]


def test_an_example_keeps_the_score_that_was_given_out() -> None:
    """Models that come later do not touch what an open label was predicted."""
    rig = PartitionRig(NO_GUARD)
    judged_by(rig, ConstantScorer("s1"))
    rig.feed([order("c", "o1", START * DAY, "6.00")])
    judged_by(rig, TimesScorer(10))
    examples = [o for o in rig.feed([tick((START + 92) * DAY)]) if o.__class__.__name__ == "TrainingExample"]
    assert [(e.scorer_version, e.clv_minor) for e in examples] == [("s1", 600.0)]  # type: ignore[union-attr]  # named above
