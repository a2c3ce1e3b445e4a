"""Event time of a partition: what moves it, and what may not."""

from __future__ import annotations

from collections import Counter

import pytest

from clv.outcomes import DeadLetter, Outcome, Score, TrainingExample, WatermarkPassed
from clv.rules import DAY_MS, Rules
from clv.testing import PartitionRig, order, tick
from clv.watermark import MAX_WAITING, MAX_WAITING_BYTES, NO_TIME_MS, PATIENCE_RECORDS, PartitionState

DAY = 86_400


def bought(customer: str, day: float, *, number: str = "") -> tuple[bytes, bytes]:
    """An order of a customer, so many days after 1970."""
    return order(customer, number or f"{customer}-{day}", day * DAY, "10.00")


def started() -> PartitionRig:
    """A partition whose front stands at day 1000."""
    rig = PartitionRig()
    rig.feed([bought("first", 1000)])
    return rig


def front_day(rig: PartitionRig) -> float:
    """The partition's latest accepted moment, in days."""
    return rig.partition.state.front_ms / DAY_MS


def letters(outcomes: list[Outcome]) -> Counter[str]:
    """How many dead letters of each reason."""
    return Counter(o.reason for o in outcomes if isinstance(o, DeadLetter))


def test_the_watermark_lies_the_lateness_behind_the_front() -> None:
    """Before anything was seen there is no time; after that it trails by the allowed lateness."""
    state = PartitionState()
    assert state.watermark_ms(Rules()) == NO_TIME_MS
    state.front_ms = 5 * DAY_MS
    assert state.watermark_ms(Rules(lateness_ms=2 * DAY_MS)) == 3 * DAY_MS


def test_time_goes_as_far_as_seven_days_by_one_customer_alone() -> None:
    """Seven days ahead moves time at once; a millisecond more waits."""
    rig = started()
    rig.feed([bought("a", 1007)])
    assert front_day(rig) == 1007
    rig.feed([bought("a", 1014.1)])
    assert front_day(rig) == 1007
    assert len(rig.partition.state.waiting) == 1


def test_one_wrong_year_matures_nothing() -> None:
    """An order dated 2099 waits, is given up after a thousand records, and time stays where it was."""
    rig = started()
    outcomes = rig.feed([bought("wrong", 47_000)])
    for start in range(0, PATIENCE_RECORDS + 10, 100):
        outcomes += rig.feed([bought(f"c{start + n}", 1000 + n / 1000) for n in range(100)])
    assert letters(outcomes) == {"from_the_future": 1}
    assert not [o for o in outcomes if isinstance(o, TrainingExample)]
    assert front_day(rig) < 1001
    assert rig.rows.get("wrong") is None


def test_an_order_long_before_the_next_can_be_alone() -> None:
    """The very first record has nothing to be far ahead of."""
    assert front_day(started()) == 1000


def test_five_others_agree() -> None:
    """When five other customers wait at about the same time, all are applied in event time."""
    rig = started()
    for number in range(5):
        rig.feed([bought(f"c{number}", 1030 - number)])
        assert front_day(rig) == 1000
    outcomes = rig.feed([bought("c5", 1040)])
    # c4 at 1026 sees five others later; 1026 to 1030 lie within a week of one another, 1040 does not.
    assert front_day(rig) == 1030
    assert [o.customer_id for o in outcomes if isinstance(o, Score) and o.reason == "order"] == [
        "c4",
        "c3",
        "c2",
        "c1",
        "c0",
    ]
    assert [w.customer_id for w in rig.partition.state.waiting] == ["c5"]
    assert rig.partition.state.counts.late == 0


def test_one_customer_five_times_is_not_five_customers() -> None:
    """However often one customer says it, time does not move."""
    rig = started()
    rig.feed([bought("liar", 2000 + n) for n in range(20)])
    assert front_day(rig) == 1000


def test_a_tick_agrees() -> None:
    """What a Tick's time reaches is released in event time before time moves on to the Tick."""
    rig = started()
    rig.feed([bought("b", 1012), bought("a", 1010)])
    outcomes = rig.feed([tick(1012.5 * DAY)])
    assert [o.customer_id for o in outcomes if isinstance(o, Score)] == ["a", "b"]
    assert front_day(rig) == 1012.5
    assert rig.partition.state.counts.late == 0
    assert [len(rig.state(c).pending) for c in "ab"] == [1, 1]


def test_a_tick_lets_silences_pass_before_what_it_releases() -> None:
    """A timer due before a released order fires before it, as it would have without the wait."""
    rig = PartitionRig()
    rig.feed([bought("a", 1000), bought("a", 1040)])
    outcomes = rig.feed([tick(1040 * DAY)])
    assert [(o.reason, o.as_of) for o in outcomes if isinstance(o, Score)] == [
        ("silence", "1972-10-27T00:00:00Z"),
        ("order", "1972-11-06T00:00:00Z"),
    ]


def test_a_tick_contradicts() -> None:
    """A Tick that moves time and stays far behind what waits says that it is wrong."""
    rig = started()
    rig.feed([bought("wrong", 47_000)])
    outcomes = rig.feed([tick(1001 * DAY)])
    assert letters(outcomes) == {"from_the_future": 1}
    assert rig.partition.state.waiting == []


def test_a_tick_from_behind_says_nothing() -> None:
    """A repeated Tick neither moves time back nor contradicts what waits."""
    rig = started()
    rig.feed([bought("a", 1010)])
    outcomes = rig.feed([tick(900 * DAY)])
    assert letters(outcomes) == {}
    assert front_day(rig) == 1000
    assert len(rig.partition.state.waiting) == 1


def test_a_tick_reports_progress() -> None:
    """Each Tick is followed by the partition's counts."""
    rig = started()
    (passed,) = rig.feed([tick(1000.5 * DAY)])
    assert isinstance(passed, WatermarkPassed)
    assert passed.watermark_at == "1972-09-26T12:00:00Z"
    assert passed.counts == {
        "received": 2,
        "applied": 1,
        "duplicate": 0,
        "late": 0,
        "dead": 0,
        "erased": 0,
        "ticks": 1,
        "rescored": 0,
        "waiting": 0,
    }


def test_a_first_tick_starts_time() -> None:
    """A Tick may come before any order; what follows from before its window is too late."""
    rig = PartitionRig()
    rig.feed([tick(2000 * DAY)])
    assert front_day(rig) == 2000
    assert letters(rig.feed([bought("a", 1000)])) == {"too_late": 1}


def test_what_waits_is_bounded_in_number() -> None:
    """Of one customer's many far-ahead records the oldest give way."""
    rig = started()
    outcomes = rig.feed([bought("liar", 2000 + n) for n in range(MAX_WAITING + 5)])
    assert letters(outcomes) == {"from_the_future": 5}
    assert len(rig.partition.state.waiting) == MAX_WAITING


def test_what_waits_is_bounded_in_bytes() -> None:
    """Large records give way sooner."""
    rig = started()
    key, value = bought("liar", 2000)
    padded = value[:-1] + b', "note": "' + b"x" * (MAX_WAITING_BYTES // 3) + b'"}'
    rig.feed([(key, padded)] * 4)
    assert len(rig.partition.state.waiting) == 2
    assert sum(len(w.value) for w in rig.partition.state.waiting) <= MAX_WAITING_BYTES


def test_a_record_that_waits_twice_is_applied_once() -> None:
    """Of two equal records that wait, one is applied and the other is a duplicate."""
    rig = started()
    rig.feed([bought("a", 1010), bought("a", 1010), tick(1010 * DAY)])
    counts = rig.partition.state.counts
    assert (counts.applied, counts.duplicate) == (2, 1)
    assert rig.state("a").totals.order_count == 1


def test_waiting_survives_a_restart() -> None:
    """What waits is part of the partition's changelogged state."""
    rig = started()
    rig.feed([bought("a", 1010)])
    again = rig.restarted()
    again.feed([tick(1010 * DAY)])
    assert again.state("a").totals.order_count == 1


def test_a_record_repeated_after_a_crash_does_not_jump_ahead() -> None:
    """Rows written but not the partition's own: a record that waited then waits again and is not lost."""
    rig = started()
    crashed = rig.restarted()
    records = [bought("a", 1010, number="far"), bought("a", 1001, number="near")]
    rig.feed(records)
    crashed.rows.rows = dict(rig.rows.rows)
    crashed.feed(records)
    assert front_day(crashed) == 1001
    assert [w.at_ms // DAY_MS for w in crashed.partition.state.waiting] == [1010]
    crashed.feed([tick(1010 * DAY)])
    assert crashed.state("a").totals.order_count == 2


def test_a_release_repeated_after_a_crash_moves_time_as_it_did() -> None:
    """Rows of released records written but not the partition's own: the release is repeated, the rows are not."""
    rig = started()
    crashed = rig.restarted()
    records = [bought("a", 1010), tick(1010 * DAY), bought("b", 1012)]
    rig.feed(records)
    crashed.rows.rows = dict(rig.rows.rows)
    outcomes = crashed.feed(records)
    assert front_day(crashed) == front_day(rig) == 1012
    assert [o for o in outcomes if isinstance(o, Score)] == []
    assert crashed.rows.rows == rig.rows.rows
    assert crashed.partition.state == rig.partition.state


@pytest.mark.parametrize("days_late", [1, 700])
def test_late_inside_the_window_is_applied(days_late: int) -> None:
    """A late event counts in the totals and opens no label."""
    rig = PartitionRig()
    rig.feed([bought("a", 1000), bought("b", 1000.2)])
    labels = len(rig.state("a").pending)
    outcomes = rig.feed([bought("a", 999 - days_late)])
    assert rig.state("a").totals.order_count == 2
    assert rig.partition.state.counts.late == 1
    assert len(rig.state("a").pending) == labels
    assert [o.as_of for o in outcomes if isinstance(o, Score)] == ["1972-09-27T00:00:00Z"]


def test_older_than_the_window_is_too_late() -> None:
    """800 days behind the watermark is the last moment that is applied; duplicates are found before."""
    rig = PartitionRig()
    rig.feed([bought("a", 1000)])
    assert letters(rig.feed([bought("a", 999 - 800)])) == {}
    assert letters(rig.feed([bought("a", 999 - 800 - 0.001)])) == {"too_late": 1}
    assert letters(rig.feed([bought("a", 1000)])) == {}
    counts = rig.partition.state.counts
    assert (counts.applied, counts.late, counts.dead, counts.duplicate) == (2, 1, 1, 1)
