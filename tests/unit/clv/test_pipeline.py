"""The pipeline over a batch: where each record ends, and what is said of it."""

from __future__ import annotations

from collections import Counter

import msgspec
import pytest

from clv.erasure import remains_name
from clv.outcomes import DeadLetter, Erased, Outcome, Score, SegmentChange, WatermarkPassed
from clv.pipeline import Record
from clv.rules import DAY_MS, Rules
from clv.testing import PartitionRig, email, erasure, order, refund, rescoring, tick

DAY = 86_400
START = 1_000
NO_GUARD = Rules(far_ahead_ms=36_500 * DAY_MS)


def bought(number: str, day: float, total: str = "10.00", *, customer: str = "c") -> tuple[bytes, bytes]:
    """An order, so many days after the start."""
    return order(customer, number, (START + day) * DAY, total)


def counts(rig: PartitionRig) -> dict[str, int]:
    """A partition's counters that are not zero."""
    return {name: n for name, n in msgspec.structs.asdict(rig.partition.state.counts).items() if n}


def kinds(outcomes: list[Outcome]) -> list[str]:
    """Types of outcomes, in order."""
    return [type(o).__name__ for o in outcomes]


def test_each_record_ends_in_one_place() -> None:
    """Applied, duplicate, late, dead, erased, rescored, Tick and waiting add up to what was received."""
    rig = PartitionRig()
    rig.feed(
        [
            bought("1", 0),
            bought("1", 0),
            bought("2", 2),
            bought("3", 0.5),
            (b"c", b"{"),
            bought("old", -900),
            erasure("d", "e", (START + 1) * DAY),
            bought("d1", 0.9, customer="d"),
            erasure("d", "e", (START + 1) * DAY),
            bought("far", 100),
            (None, None),
            rescoring("c", "again"),
            tick((START + 2.5) * DAY),
        ]
    )
    expected = {"received": 13, "applied": 4, "duplicate": 2, "late": 1, "dead": 4, "erased": 1, "ticks": 1}
    expected["rescored"] = 1
    assert counts(rig) == expected
    ends = ("applied", "duplicate", "dead", "erased", "ticks", "rescored")
    assert sum(expected[end] for end in ends) == expected["received"]


def test_a_dead_letter_keeps_the_record_and_its_place() -> None:
    """Bytes untouched, reason, topic, partition and offset; good records around it are applied."""
    rig = PartitionRig()
    records = [bought("1", 0), (b"\xff", b"\x00rubbish"), bought("2", 1)]
    letters = [o for o in rig.feed(records) if isinstance(o, DeadLetter)]
    detail = "the value is not JSON in UTF-8"
    assert letters == [DeadLetter(b"\xff", b"\x00rubbish", "undecodable", detail, "orders", 0, 1)]
    assert rig.state("c").totals.order_count == 2


def test_holes_between_offsets_mean_nothing() -> None:
    """Offsets only ascend; what lies at or below the applied one is not taken again."""
    rig = PartitionRig(NO_GUARD)
    first, second = bought("1", 0), bought("2", 1)
    rig.process([Record(5, *first), Record(90, *second)])
    assert rig.process([Record(5, *first), Record(90, *second), Record(89, *bought("3", 2))]) == []
    assert (rig.partition.state.applied_offset, counts(rig)) == (90, {"received": 2, "applied": 2})


def test_scores_and_changes_follow_their_causes() -> None:
    """Outcomes come in the order of the records that caused them, whatever is scored together."""
    rig = PartitionRig()
    outcomes = rig.feed([bought("1", 0), (b"x", b"?"), bought("2", 0.1, "500.00"), tick((START + 0.2) * DAY)])
    assert kinds(outcomes) == [
        "WatermarkPassed",
        "Score",
        "SegmentChange",
        "DeadLetter",
        "Score",
        "SegmentChange",
        "WatermarkPassed",
    ]
    changes = [(o.from_segment, o.to_segment) for o in outcomes if isinstance(o, SegmentChange)]
    assert changes == [(None, "Low-CLV"), ("Low-CLV", "High-CLV")]


def test_each_event_of_a_customer_scores_once() -> None:
    """Orders, refunds and e-mail events score; those before any order do not, nor do duplicates."""
    rig = PartitionRig()
    outcomes = rig.feed(
        [
            email("c", "m1", START * DAY),
            bought("1", 1),
            bought("1", 1),
            email("c", "m2", (START + 2) * DAY),
            email("c", "m2", (START + 2) * DAY),
            refund("c", "r1", (START + 3) * DAY, "1.00", order_id="1"),
        ]
    )
    assert [(o.reason, o.cause) for o in outcomes if isinstance(o, Score)] == [
        ("order", "order:1"),
        ("engagement", "m2"),
        ("refund", "refund:r1"),
    ]


def test_a_duplicate_is_found_by_either_id() -> None:
    """An order seen before under its order id or its event id is the same order."""
    rig = PartitionRig()
    rig.feed([order("c", "o1", START * DAY, "1.00", event_id="e1")])
    rig.feed(
        [
            order("c", "o1", (START + 1) * DAY, "2.00", event_id="e2"),
            order("c", "o2", (START + 1) * DAY, "2.00", event_id="e1"),
            order("d", "o1", START * DAY, "1.00", event_id="e1"),
        ]
    )
    assert counts(rig) == {"received": 4, "applied": 2, "duplicate": 2}
    assert (rig.state("c").totals.revenue_minor, rig.state("d").totals.revenue_minor) == (100, 100)


def test_progress_is_reported_once_an_event_day() -> None:
    """A report when the watermark enters another day, and for every Tick, with where it was caused."""
    rig = PartitionRig()
    outcomes = rig.feed(
        [bought("1", 0), bought("2", 0.5), bought("3", 1.5), bought("4", 1.6), tick((START + 1.7) * DAY)]
    )
    reports = [o for o in outcomes if isinstance(o, WatermarkPassed)]
    assert [(o.watermark_at, o.applied_offset) for o in reports] == [
        ("1972-09-26T00:00:00Z", 0),
        ("1972-09-27T12:00:00Z", 2),
        ("1972-09-27T16:48:00Z", 4),
    ]


def test_an_erasure_forgets_and_says_so() -> None:
    """The state keeps the time of the erasure and nothing of what was before it; downstream is told."""
    rig = PartitionRig()
    rig.feed([bought("1", 0), refund("c", "r", (START + 0.1) * DAY, "1.00"), email("c", "m", (START + 0.2) * DAY)])
    outcomes = rig.feed([erasure("c", "e", (START + 1) * DAY)])
    assert [o for o in outcomes if isinstance(o, Erased)] == [Erased("c", (START + 1) * DAY_MS)]
    state = rig.state("c")
    assert (state.ledger, state.totals.order_count, state.pending, state.erased_ms) == (
        b"",
        0,
        [],
        (START + 1) * DAY_MS,
    )
    assert rig.feed([bought("1", 0)]) == []
    assert counts(rig)["erased"] == 1


@pytest.mark.parametrize("is_one_batch", [True, False], ids=["one-batch", "batch-by-batch"])
def test_nothing_names_an_erased_customer(is_one_batch: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """The row goes, what remains lies under a keyed hash, and a restart forgets nothing of either."""
    rig = PartitionRig(Rules(erasure_key=b"secret"))
    records = [bought("1", 0), erasure("c", "e", (START + 1) * DAY), bought("2", 0.5)]
    for batch in [records] if is_one_batch else [[record] for record in records]:
        rig.feed(batch)
        rig = rig.restarted()
    assert list(rig.rows.rows) == [remains_name("c", b"secret")]
    assert "c" not in list(rig.rows.rows)
    assert remains_name("c", b"secret") != remains_name("c", b"another")
    assert b"c" not in rig.rows.rows[remains_name("c", b"secret")]
    assert counts(rig) == {"received": 3, "applied": 2, "erased": 1}


def test_a_customer_who_comes_back_is_new() -> None:
    """Orders after the erasure count from nothing, those before it still do not."""
    rig = PartitionRig(NO_GUARD)
    rig.feed([bought("1", 0), erasure("c", "e", (START + 1) * DAY)])
    rig.feed([bought("3", 3, "30.00"), bought("2", 0.5)])
    assert rig.state("c").totals.revenue_minor == 3000
    rig.feed([erasure("c", "e2", (START + 5) * DAY)])
    rig.feed([bought("4", 4)])
    assert list(rig.rows.rows) == [remains_name("c", b"")]
    assert counts(rig)["erased"] == 2


def test_an_erased_customer_may_come_back() -> None:
    """Orders after the erasure are a new customer's, first order and first segment included."""
    rig = PartitionRig()
    rig.feed([bought("1", 0), erasure("c", "e", (START + 1) * DAY)])
    outcomes = rig.feed([bought("2", 2)])
    assert [(o.order_count, o.revenue_minor) for o in outcomes if isinstance(o, Score)] == [(1, 1_000)]
    assert [o.from_segment for o in outcomes if isinstance(o, SegmentChange)] == [None]
    assert len(rig.state("c").pending) == 1


def test_a_late_erasure_keeps_what_came_after_it() -> None:
    """An erasure that arrives behind an order placed after it leaves that order alone."""
    rig = PartitionRig()
    outcomes = rig.feed([bought("1", 0), bought("2", 2), erasure("c", "e", (START + 1) * DAY)])
    assert [(o.order_count, o.revenue_minor) for o in outcomes if isinstance(o, Score)][-1] == (1, 1_000)
    assert rig.state("c").totals.first_order_ms == (START + 2) * DAY_MS


def test_nothing_fires_for_an_erased_customer() -> None:
    """Neither silence nor labels of what was forgotten."""
    rig = PartitionRig(NO_GUARD)
    rig.feed([bought("1", 0), erasure("c", "e", (START + 1) * DAY)])
    outcomes = rig.feed([tick((START + 2_000) * DAY)])
    assert kinds(outcomes) == ["WatermarkPassed"]


def test_a_second_delivery_has_the_same_ids_and_bytes() -> None:
    """Records processed again from the same state give events with the same ids and content."""
    rig = PartitionRig(NO_GUARD)
    again = rig.restarted()
    records = [bought("1", 0), bought("2", 40), refund("c", "r", (START + 41) * DAY, "3.00"), tick((START + 200) * DAY)]
    assert msgspec.json.encode(rig.feed(records)) == msgspec.json.encode(again.feed(records))


def test_event_ids_are_unique() -> None:
    """No two events of a long run share an id."""
    rig = PartitionRig(NO_GUARD)
    outcomes = rig.feed(
        [bought(f"{c}{n}", n * 17, customer=c) for n in range(40) for c in ("a", "b")] + [tick((START + 3_000) * DAY)]
    )
    ids = Counter(o.event_id for o in outcomes if not isinstance(o, DeadLetter | Erased))
    assert [name for name, count in ids.items() if count > 1] == []


def test_customers_do_not_touch_one_another() -> None:
    """A customer's state is the same alone and among others, once time has come as far."""
    alone, among = PartitionRig(NO_GUARD), PartitionRig(NO_GUARD)
    mine = [bought("1", 0), bought("2", 45), refund("c", "r", (START + 46) * DAY, "1.00")]
    others = [bought(f"x{n}", n, customer=f"x{n % 7}") for n in range(47)]
    alone.feed([*mine, tick((START + 60) * DAY)])
    among.feed([mine[0], *others[:45], *mine[1:], *others[45:], tick((START + 60) * DAY)])
    assert alone.state("c") == among.state("c")


def test_an_erasure_is_never_too_late() -> None:
    """However old, it erases what happened before it; a right does not lapse with the duplicate window."""
    rig = PartitionRig(Rules(far_ahead_ms=10_000 * DAY_MS))
    rig.feed([order("c1", "o1", 1_000_000_000, "5.00"), order("c2", "o2", 1_700_000_000, "5.00")])
    outcomes = rig.feed([erasure("c1", "e1", 1_000_000_001)])
    assert [Erased("c1", 1_000_000_001_000)] == outcomes
    assert rig.state("c1").totals.order_count == 0
