"""Customers scored again because somebody asked."""

from __future__ import annotations

from copy import deepcopy

from clv.outcomes import Outcome, Score, SegmentChange
from clv.rules import DAY_MS
from clv.segments import Policies, SegmentPolicy
from clv.testing import ConstantScorer, PartitionRig, erasure, order, rescoring, tick
from clv.verdicts import Judgement

DAY = 86_400
START = 1_000


def shop() -> PartitionRig:
    """A customer of one order, ten days ago."""
    rig = PartitionRig()
    rig.feed([order("c", "1", START * DAY, "50.00"), tick((START + 11) * DAY)])
    return rig


def scores(outcomes: list[Outcome]) -> list[Score]:
    """The scores among outcomes."""
    return [o for o in outcomes if isinstance(o, Score)]


def judged_by(rig: PartitionRig, version: str, policy: SegmentPolicy | None = None) -> None:
    """Put another model in force, and another policy if there is one."""
    _, policies, rules = rig.judgement
    rig.judgement = Judgement(ConstantScorer(version), Policies([policy]) if policy else policies, rules)


def test_a_score_is_of_now_and_by_what_is_in_force() -> None:
    """As of the watermark, by the new model, with the asking event as its cause; nothing known changes."""
    rig = shop()
    before, time_before = deepcopy(rig.state("c")), rig.partition.state.front_ms
    judged_by(rig, "second")
    (score,) = scores(rig.feed([rescoring("c", "ask")]))
    assert (score.as_of, score.reason, score.cause) == ("1972-10-07T00:00:00Z", "model_changed", "ask@2")
    assert (score.models.scorer, score.order_count) == ("second", 1)
    assert score.clv_minor == round(5_000 * 0.5 ** (10 / 60))
    after = rig.state("c")
    assert (after.totals, after.ledger, after.pending) == (before.totals, before.ledger, before.pending)
    assert rig.partition.state.front_ms == time_before


def test_a_new_policy_is_the_reason_of_a_change() -> None:
    """The same score, other cut-offs."""
    rig = shop()
    rig.feed([rescoring("c", "one")])
    judged_by(rig, "constant", SegmentPolicy("low", 0, 1_000, 500))
    score, change = rig.feed([rescoring("c", "two")])
    assert isinstance(score, Score)
    assert isinstance(change, SegmentChange)
    assert (score.reason, change.reason) == ("policy_changed", "policy_changed")
    assert (change.from_segment, change.to_segment) == ("Growth-Potential", "High-CLV")


def test_without_anything_new_time_is_the_reason() -> None:
    """What fell since has fallen by silence."""
    (score,) = scores(shop().feed([rescoring("c", "ask")]))
    assert score.reason == "silence"


def test_who_is_not_known_is_not_made() -> None:
    """No row and no score for a stranger, nor for somebody erased; both are counted."""
    rig = shop()
    rig.feed([erasure("c", "e", (START + 11) * DAY)])
    rows = dict(rig.rows.rows)
    assert rig.feed([rescoring("c", "one"), rescoring("stranger", "two")]) == []
    assert (rig.rows.rows, rig.partition.state.counts.rescored) == (rows, 2)


def test_a_crash_before_the_acknowledgement_gives_nothing_twice() -> None:
    """The row was written, the partition's place was not: the repeated record finds it done."""
    rig = shop()
    behind = deepcopy(rig.partition.state)
    assert scores(rig.feed([rescoring("c", "ask")]))
    rig.partition = rig.partition._replace(state=behind)
    rig.next_offset -= 1
    assert rig.feed([rescoring("c", "ask")]) == []


def test_asking_again_gives_another_event() -> None:
    """The customer has changed between two records with the same event id: ids differ, as what they say does."""
    rig = shop()
    records = [rescoring("c", "ask"), order("c", "2", (START + 10) * DAY, "70.00"), rescoring("c", "ask")]
    first, _, second = scores(rig.feed(records))
    assert first.as_of == second.as_of
    assert (first.event_id == second.event_id, first.order_count, second.order_count) == (False, 1, 2)
    assert rig.partition.state.watermark_ms(rig.judgement.rules) == (START + 10) * DAY_MS
