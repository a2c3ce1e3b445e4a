"""The reducer: long histories stay bounded, and what leaves the ledger keeps counting."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from clv import ledger
from clv.outcomes import DeadLetter
from clv.rfm import MAX_CATEGORIES, totals_at
from clv.rules import DAY_MS, Rules
from clv.testing import PartitionRig, order, refund, tick

DAY = 86_400
HOUR = 3_600
START = 1_000
FREE = 36_500 * DAY_MS


def test_five_thousand_orders_stay_bounded() -> None:
    """Totals count all orders; the ledger keeps at most 4,096 of them."""
    rig = PartitionRig(Rules(far_ahead_ms=FREE))
    for start in range(0, 5_000, 500):
        rig.feed([order("c", f"o{n}", START * DAY + n * HOUR, "1.00") for n in range(start, start + 500)])
        assert ledger.length(rig.state("c").ledger) <= ledger.MAX_ENTRIES
    state = rig.state("c")
    assert (state.totals.order_count, state.totals.revenue_minor) == (5_000, 500_000)
    assert state.base is not None
    assert state.base.order_count + ledger.length(state.ledger) == 5_000
    assert totals_at(state, state.latest_ms) == state.totals


def test_beyond_the_bound_events_are_too_late_and_duplicates_known() -> None:
    """An event as old as what has left the ledger is refused; one still in it is a duplicate."""
    rig = PartitionRig(Rules(far_ahead_ms=FREE))
    rig.feed([order("c", f"o{n}", START * DAY + n * HOUR, "1.00") for n in range(ledger.MAX_ENTRIES + 1)])
    state = rig.state("c")
    assert state.pruned_ms == (START * DAY + (ledger.MAX_ENTRIES // 4 - 1) * HOUR) * 1_000
    outcomes = rig.feed([order("c", "new", START * DAY + 5.5 * HOUR, "1.00")])
    assert [o.reason for o in outcomes if isinstance(o, DeadLetter)] == ["too_late"]
    assert rig.feed([order("c", "o2000", START * DAY + 2_000 * HOUR, "1.00")]) == []
    assert rig.partition.state.counts.duplicate == 1


def test_refunds_keep_what_they_took_of_orders_that_have_left() -> None:
    """When an order leaves the ledger, its refund that stays keeps counting, and no more than it took."""
    rig = PartitionRig(Rules(far_ahead_ms=FREE, window_ms=10 * DAY_MS))
    rig.feed([order("c", "o1", START * DAY, "10.00"), refund("c", "r1", (START + 9) * DAY, "50.00", order_id="o1")])
    rig.feed([order("c", "o2", (START + 12) * DAY, "1.00")])
    assert ledger.length(rig.state("c").ledger) == 2
    rig.feed([order("c", "o3", (START + 11.5) * DAY, "1.00")])
    totals = rig.state("c").totals
    assert (totals.order_count, totals.revenue_minor, totals.refunded_minor) == (3, 1_200, 1_000)


def test_a_refund_dated_before_its_order_is_kept_until_the_order_leaves() -> None:
    """Its date is behind the window, but what it takes is not."""
    rig = PartitionRig(Rules(far_ahead_ms=FREE, window_ms=10 * DAY_MS))
    rig.feed([refund("c", "r1", START * DAY, "6.00", order_id="o1"), order("c", "o1", (START + 9) * DAY, "10.00")])
    rig.feed([order("c", "o2", (START + 12) * DAY, "1.00")])
    assert rig.state("c").pruned_ms == START * DAY_MS
    rig.feed([refund("c", "r2", (START + 12.5) * DAY, "7.00", order_id="o1")])
    rig.feed([order("c", "o3", (START + 11.5) * DAY, "1.00")])
    totals = rig.state("c").totals
    assert (totals.order_count, totals.revenue_minor, totals.refunded_minor) == (3, 1_200, 1_000)


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_pruning_changes_no_total(data: st.DataObject) -> None:
    """With a short memory, totals stay those of a memory without end, refunds before and after orders included."""
    count = data.draw(st.integers(1, 25))
    day, records = 0.0, []
    for number in range(count):
        day += data.draw(st.sampled_from([0, 0.25, 1, 3, 15]))
        shift = data.draw(st.sampled_from([0, 0, -0.5, -0.9]))
        if number and data.draw(st.booleans()):
            named = data.draw(st.sampled_from([None, f"o{max(number - 2, 0)}", f"o{number - 1}", f"o{number + 1}"]))
            records.append(refund("c", f"r{number}", (START + day + shift) * DAY, "6.00", order_id=named))
        else:
            records.append(order("c", f"o{number}", (START + day + shift) * DAY, "10.00"))
    long, short = (PartitionRig(Rules(far_ahead_ms=FREE, window_ms=days * DAY_MS)) for days in (10_000, 50))
    end = tick((START + day + 2) * DAY)
    long.feed([*records, end])
    short.feed([*records, end])
    assert ledger.length(short.state("c").ledger) <= ledger.length(long.state("c").ledger)
    assert long.state("c").totals == short.state("c").totals


def test_categories_are_bounded_and_the_earliest_kept() -> None:
    """Of many categories the first 64 are kept, whatever the order in which they arrive."""
    one, other = PartitionRig(Rules(far_ahead_ms=FREE)), PartitionRig(Rules(far_ahead_ms=FREE))
    records = [order("c", f"o{n}", START * DAY + n, "1.00", category=f"cat{n}") for n in range(80)]
    one.feed(records)
    other.feed(records[::-1])
    assert len(one.state("c").categories) == MAX_CATEGORIES
    assert one.state("c").categories == other.state("c").categories
    assert max(one.state("c").categories.values()) == START * DAY_MS + (MAX_CATEGORIES - 1) * 1_000


def test_the_earliest_acquisition_counts() -> None:
    """Where a customer came from is what its earliest order with an acquisition says."""
    rig = PartitionRig(Rules(far_ahead_ms=FREE))
    late = {"source": "social", "campaign_type": "sale", "cost": "5"}
    early = {"source": "search", "campaign_type": "brand", "cost": "0"}
    rig.feed(
        [
            order("c", "o2", START * DAY + 9, "1", acquisition=late),
            order("c", "o1", START * DAY, "1", acquisition=early),
        ]
    )
    state = rig.state("c")
    assert (state.source, state.campaign_type, state.acquisition_cost_minor) == ("search", "brand", 0)
