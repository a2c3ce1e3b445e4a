"""Moments: which become snapshots, what silence does, and what labels hold."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from clv.features import FEATURE_NAMES
from clv.moments import next_due_ms, value_between
from clv.outcomes import Outcome, Score, SegmentChange, TrainingExample, rfc3339
from clv.rules import DAY_MS, MAX_PENDING, SILENCE_DAYS, SNAPSHOT_SPACING_MS, Rules
from clv.segments import Policies, SegmentPolicy
from clv.state import NEVER_MS, CustomerState
from clv.testing import PartitionRig, order, refund, tick

DAY = 86_400
START = 1_000
NO_GUARD = Rules(far_ahead_ms=36_500 * DAY_MS)


def bought(day: float, total: str = "100.00", *, customer: str = "c") -> tuple[bytes, bytes]:
    """An order, so many days after the start."""
    return order(customer, f"{customer}-{day}", (START + day) * DAY, total)


def at(day: float) -> str:
    """A day after the start as the wire has it."""
    return rfc3339(round((START + day) * DAY_MS))


def until(day: float) -> tuple[None, bytes]:
    """A Tick by which the watermark has just passed a day after the start."""
    return tick((START + day + 1) * DAY + 0.001)


def examples(outcomes: list[Outcome]) -> list[TrainingExample]:
    """The training examples among outcomes."""
    return [o for o in outcomes if isinstance(o, TrainingExample)]


def test_the_first_order_opens_a_label_and_the_next_only_after_thirty_days() -> None:
    """A snapshot at the first order; none within thirty days of the last one, one on the thirtieth."""
    rig = PartitionRig(NO_GUARD)
    rig.feed([bought(0), bought(1), bought(29.9), bought(30), bought(31)])
    assert [p.at_ms // DAY_MS - START for p in rig.state("c").pending] == [0, 30]


def test_at_most_four_labels_are_open() -> None:
    """With a long horizon, the fifth snapshot has to wait until a label is closed."""
    rig = PartitionRig(Rules(far_ahead_ms=NO_GUARD.far_ahead_ms, horizon_ms=200 * DAY_MS))
    rig.feed([bought(day) for day in range(0, 200, 20)])
    opened = [p.at_ms // DAY_MS - START for p in rig.state("c").pending]
    assert opened == [0, 40, 80, 120]
    rig.feed([bought(200), bought(235)])
    assert [p.at_ms // DAY_MS - START for p in rig.state("c").pending] == [40, 80, 120, 200]


@given(st.lists(st.integers(0, 60), min_size=1, max_size=40))
def test_snapshots_are_bounded_and_spaced(gaps: list[int]) -> None:
    """However often a customer buys, labels are at least thirty days apart and few."""
    rig = PartitionRig(NO_GUARD)
    day = 0
    for gap in gaps:
        day += gap
        rig.feed([bought(day)])
        pending = rig.state("c").pending
        assert len(pending) <= MAX_PENDING
        assert all(later.at_ms - early.at_ms >= SNAPSHOT_SPACING_MS for early, later in pairwise(pending))


def test_silence_scores_at_its_steps_and_then_rests() -> None:
    """Each silence step scores once, without any event; after the last one nothing is due."""
    rig = PartitionRig(NO_GUARD)
    rig.feed([bought(0)])
    outcomes = rig.feed([until(SILENCE_DAYS[-1] + 400)])
    scores = [o for o in outcomes if isinstance(o, Score)]
    assert [o.as_of for o in scores] == [at(day) for day in SILENCE_DAYS]
    assert {o.reason for o in scores} == {"silence"}
    assert [o.cause for o in scores] == [f"silence:{(START + day) * DAY_MS}" for day in SILENCE_DAYS]
    assert next_due_ms(rig.state("c"), NO_GUARD) == NEVER_MS
    assert next_due_ms(CustomerState(), NO_GUARD) == NEVER_MS


def test_an_order_ends_a_silence() -> None:
    """After an order the steps begin anew."""
    rig = PartitionRig(NO_GUARD)
    rig.feed([bought(0)])
    rig.feed([until(61), bought(65)])
    outcomes = rig.feed([until(100)])
    assert [o.as_of for o in outcomes if isinstance(o, Score)] == [at(95)]


def test_a_timer_waits_for_the_watermark() -> None:
    """Silence is not yet certain while an order may still come inside the lateness."""
    rig = PartitionRig(NO_GUARD)
    rig.feed([bought(0)])
    assert [o for o in rig.feed([tick((START + 31) * DAY)]) if isinstance(o, Score)] == []
    assert [o.as_of for o in rig.feed([until(30)]) if isinstance(o, Score)] == [at(30)]


def test_a_high_customer_who_stops_buying_sinks_by_time_alone() -> None:
    """From High-CLV to Low-CLV by Ticks alone; each change says that silence did it."""
    rig = PartitionRig(NO_GUARD)
    rig.feed([bought(0, "150.00"), bought(20, "150.00")])
    assert rig.state("c").segment == "High-CLV"
    changes = [
        o for day in range(21, 400, 7) for o in rig.feed([tick((START + day) * DAY)]) if isinstance(o, SegmentChange)
    ]
    assert [(c.from_segment, c.to_segment, c.reason, c.as_of) for c in changes] == [
        ("High-CLV", "Growth-Potential", "silence", at(80)),
        ("Growth-Potential", "Low-CLV", "silence", at(200)),
    ]
    assert [(c.clv_before_minor, c.clv_after_minor) for c in changes] == [(10_607, 7_500), (5_303, 1_875)]


def test_labels_hold_net_value_of_the_horizon() -> None:
    """The label counts what comes after its moment up to and including the horizon's last moment, less refunds."""
    rig = PartitionRig(NO_GUARD)
    outcomes = rig.feed([bought(0), bought(10, "50.00"), bought(90, "7.00"), bought(90.001, "500.00")])
    outcomes += rig.feed([refund("c", "r", (START + 89) * DAY, "20.00", order_id="c-10"), until(200)])
    first = examples(outcomes)[0]
    assert (first.as_of, first.matured_at, first.moment) == (at(0), at(90), "order")
    assert first.value_minor == 5_000 - 2_000 + 700
    assert first.features[FEATURE_NAMES.index("order_count")] == 1
    assert (first.scorer_version, first.clv_minor) == ("constant", 10_000)


def test_those_who_never_return_are_examples_too() -> None:
    """A single order gives labels of zero, from its own moment and from silence."""
    rig = PartitionRig(NO_GUARD)
    rig.feed([bought(0)])
    found = examples(rig.feed([until(1_500)]))
    assert {e.value_minor for e in found} == {0}
    assert [(e.moment, e.as_of) for e in found] == [
        ("order", at(0)),
        *(("silence", at(day)) for day in SILENCE_DAYS),
    ]


def test_a_label_is_never_below_zero() -> None:
    """A customer who gives more back than it buys is worth nothing, not less."""
    rig = PartitionRig(NO_GUARD)
    rig.feed([bought(0), refund("c", "r", (START + 5) * DAY, "60.00")])
    assert examples(rig.feed([until(91)]))[0].value_minor == 0


def test_a_label_already_given_out_stays() -> None:
    """A late order inside the window counts in the totals; the example of its time is not given out again."""
    rig = PartitionRig(NO_GUARD)
    rig.feed([bought(0)])
    given_out = examples(rig.feed([until(95)]))
    assert [e.value_minor for e in given_out] == [0]
    again = rig.feed([bought(50, "9.00"), until(96)])
    assert examples(again) == []
    assert rig.state("c").totals.revenue_minor == 10_900


def test_a_late_order_reaches_labels_still_open() -> None:
    """What is late for scores is not late for a label that has not matured."""
    rig = PartitionRig(NO_GUARD)
    rig.feed([bought(0)])
    rig.feed([until(60)])
    rig.feed([bought(50, "9.00")])
    assert examples(rig.feed([until(91)]))[0].value_minor == 900


def test_values_between_moments() -> None:
    """The earlier bound is outside, the later one inside."""
    assert value_between([(10, 1), (11, 2), (20, 4), (21, 8)], 10, 20) == 6


def test_a_first_policy_gives_a_silent_customer_its_first_segment() -> None:
    """A customer scored before there was any policy gets a segment at its next timer, because of the policy."""
    late_policy = Policies([SegmentPolicy("p1", (START + 10) * DAY_MS, 10_000, 1_000)])
    rig = PartitionRig(NO_GUARD, late_policy)
    (score,) = (o for o in rig.feed([bought(0)]) if isinstance(o, Score))
    assert score.segment is None
    (change,) = (o for o in rig.feed([until(31)]) if isinstance(o, SegmentChange))
    assert (change.from_segment, change.to_segment, change.reason) == (None, "Growth-Potential", "policy_changed")
