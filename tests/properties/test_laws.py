"""The laws of the core, on generated histories."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from clv.ledger import fingerprint
from clv.outcomes import Outcome, Score, Segment, SegmentChange, TrainingExample, WatermarkPassed
from clv.rules import Rules
from clv.segments import SegmentPolicy, decide
from clv.testing import PartitionRig, tick
from tests.properties.histories import CUSTOMERS, DAY, START, Happening, arrivals, histories, repeated, splits

if TYPE_CHECKING:
    from clv.state import CustomerState

END = START + 1_200 * DAY
NO_GUARD = Rules(far_ahead_ms=100_000 * DAY * 1000)
MANY = settings(max_examples=1_500, deadline=None)
SOME = settings(max_examples=500, deadline=None)


def run(events: list[Happening], rig: PartitionRig | None = None) -> tuple[PartitionRig, list[Outcome]]:
    """Feed events as one batch, then let every label mature."""
    rig = rig or PartitionRig(NO_GUARD)
    outcomes = rig.feed([event.record() for event in events])
    outcomes += rig.feed([tick(END)])
    return rig, outcomes


def settled(rig: PartitionRig) -> dict[str, CustomerState]:
    """The customers' states, without the place in the source that they were written at."""
    return {c: rig.state(c) for c in rig.rows.rows}


def final_scores(outcomes: list[Outcome]) -> dict[str, Score]:
    """The last score of each customer, less what names the event that happened to come last."""
    scores = [o for o in outcomes if isinstance(o, Score)]
    return {
        o.customer_id: msgspec.structs.replace(o, event_id="", cause="", reason="order", segment=None) for o in scores
    }


def labels(outcomes: list[Outcome]) -> list[TrainingExample]:
    """All training examples, sorted."""
    return sorted((o for o in outcomes if isinstance(o, TrainingExample)), key=lambda e: (e.customer_id, e.as_of))


def recompute(events: list[Happening], customer: str) -> tuple[int, int, int]:
    """Order count, revenue and refunds of a customer straight from the log, in cents."""
    mine = {e.id: e for e in events if e.customer == customer}.values()
    orders = {e.id: e.cents for e in mine if e.kind == "order"}
    by_order: dict[str, int] = {}
    free = 0
    for event in mine:
        if event.kind == "refund" and event.order is None:
            free += event.cents
        elif event.kind == "refund" and event.order in orders:
            by_order[event.order] = by_order.get(event.order, 0) + event.cents
    capped = sum(min(orders[o], cents) for o, cents in by_order.items())
    return len(orders), sum(orders.values()), free + capped


@MANY
@given(st.data())
def test_state_equals_batch_recomputation(data: st.DataObject) -> None:
    """Counts, revenue and refunds equal a recomputation from the raw log in exact cents, whatever the arrival."""
    events = data.draw(histories())
    rig, _ = run(data.draw(repeated(data.draw(arrivals(events)))))
    for customer in {e.customer for e in events}:
        totals = rig.state(customer).totals
        assert recompute(events, customer) == (totals.order_count, totals.revenue_minor, totals.refunded_minor)


@MANY
@given(st.data())
def test_order_of_arrival_changes_nothing(data: st.DataObject) -> None:
    """Any two arrivals inside the lateness give the same states, labels and final scores."""
    events = data.draw(histories())
    first, one = run(data.draw(arrivals(events)))
    second, two = run(data.draw(arrivals(events)))
    assert settled(first) == settled(second)
    assert labels(one) == labels(two)
    assert final_scores(one) == final_scores(two)


@MANY
@given(st.data())
def test_any_split_gives_the_same_outcomes(data: st.DataObject) -> None:
    """Batch boundaries mean nothing, byte for byte."""
    events = data.draw(repeated(data.draw(arrivals(data.draw(histories(with_erasure=True))))))
    records = [e.record() for e in events] + [tick(START + 150 * DAY), tick(END)]
    whole, parts = PartitionRig(), PartitionRig()
    expected = whole.feed(records)
    cuts = data.draw(splits(len(records)))
    actual = [o for a, b in pairwise(cuts) for o in parts.feed(records[a:b])]
    assert msgspec.json.encode(expected) == msgspec.json.encode(actual)
    assert whole.rows.rows == parts.rows.rows


@SOME
@given(st.data())
def test_restoring_anywhere_gives_the_same_outcomes(data: st.DataObject) -> None:
    """A partition rebuilt from its rows at any point goes on as if nothing had happened."""
    events = data.draw(arrivals(data.draw(histories(with_erasure=True))))
    records = [e.record() for e in events] + [tick(END)]
    whole, broken = PartitionRig(), PartitionRig()
    expected = whole.feed(records)
    cut = data.draw(st.integers(0, len(records)))
    actual = broken.feed(records[:cut])
    actual += broken.restarted().feed(records[cut:])
    assert msgspec.json.encode(expected) == msgspec.json.encode(actual)


@SOME
@given(st.data())
def test_a_second_delivery_after_a_crash_changes_nothing(data: st.DataObject) -> None:
    """Rows written but not acknowledged: records delivered again emit nothing for what was applied."""
    events = data.draw(arrivals(data.draw(histories())))
    rig = PartitionRig(NO_GUARD)
    rig.feed([e.record() for e in events])
    before = dict(rig.rows.rows)
    rig.next_offset = 0
    assert rig.feed([e.record() for e in events]) == []
    assert before == rig.rows.rows


@SOME
@given(st.data())
def test_a_log_sent_twice_changes_only_the_duplicate_counter(data: st.DataObject) -> None:
    """The whole log again: no scores, no examples, equal states."""
    events = data.draw(arrivals(data.draw(histories())))
    rig = PartitionRig(NO_GUARD)
    rig.feed([e.record() for e in events])
    states, counts = settled(rig), msgspec.structs.asdict(rig.partition.state.counts)
    again = rig.feed([e.record() for e in events])
    assert again == []
    assert settled(rig) == states
    expected = counts | {"received": 2 * len(events), "duplicate": counts["duplicate"] + len(events)}
    assert expected == msgspec.structs.asdict(rig.partition.state.counts)


@SOME
@given(st.data())
def test_features_and_labels_know_nothing_of_the_wrong_side(data: st.DataObject) -> None:
    """An example's features are those of the log cut at its moment; its label is the net value after it."""
    events = data.draw(histories())
    _, outcomes = run(data.draw(arrivals(events)))
    for example in labels(outcomes):
        at = _seconds(example.as_of)
        past = [e for e in events if e.at <= at and e.customer == example.customer_id]
        rig = PartitionRig(NO_GUARD)
        seen = rig.feed([*(e.record() for e in sorted(past)), tick(at + 1.5 * DAY), tick(END)])
        assert example.features in [o.features for o in labels(seen) if o.as_of == example.as_of]
        mine = [e for e in events if e.customer == example.customer_id]
        assert _net_between(mine, at, at + 90 * DAY) == example.value_minor


def _seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


def _net_between(events: list[Happening], after: int, to: int) -> int:
    """Net value in (after, to]: refunds take what is left of their order, no sooner than it was placed."""
    placed = {e.id: e.at for e in events if e.kind == "order"}
    left = {e.id: e.cents for e in events if e.kind == "order"}
    net = sum(e.cents for e in events if e.kind == "order" and after < e.at <= to)
    refunds = [e for e in events if e.kind == "refund" and (e.order is None or e.order in placed)]
    for e in sorted(refunds, key=lambda e: (e.at, fingerprint("refund", e.id))):
        taken = e.cents if e.order is None else min(e.cents, left[e.order])
        if e.order is not None:
            left[e.order] -= taken
        if after < max(e.at, placed.get(e.order or "", 0)) <= to:
            net -= taken
    return max(net, 0)


@SOME
@given(st.data())
def test_erasure_leaves_what_came_later(data: st.DataObject) -> None:
    """After an erasure, counts and money are those of the later events alone, whatever the arrival."""
    events = data.draw(histories(with_erasure=True))
    rig, _ = run(data.draw(arrivals(events)))
    for customer in {e.customer for e in events}:
        erased = max((e.at for e in events if e.customer == customer and e.kind == "erasure"), default=-1)
        later = [e for e in events if e.customer != customer or e.at > erased]
        totals = rig.state(customer).totals
        assert recompute(later, customer) == (totals.order_count, totals.revenue_minor, totals.refunded_minor)


@SOME
@given(st.data())
def test_every_record_is_counted_once(data: st.DataObject) -> None:
    """Received is the sum of what records can end as."""
    events = data.draw(repeated(data.draw(arrivals(data.draw(histories(with_erasure=True))))))
    rig, outcomes = run(events)
    counts = msgspec.structs.asdict(rig.partition.state.counts)
    ended = sum(counts[k] for k in ("applied", "duplicate", "dead", "erased", "ticks", "rescored")) + len(
        rig.partition.state.waiting
    )
    assert counts["received"] == ended == len(events) + 1
    assert isinstance(outcomes[-1], WatermarkPassed)


@given(st.lists(st.integers(90, 99), min_size=1, max_size=20), st.sampled_from(["High-CLV", "Growth-Potential"]))
def test_segments_do_not_flap_inside_the_band(values: list[int], start: Segment) -> None:
    """Between nine tenths of a cut-off and the cut-off, the segment held stays."""
    policy = SegmentPolicy("p", 0, high_minor=100, growth_minor=100 if start == "Growth-Potential" else 10)
    for value in values:
        assert start == decide(value, start, policy)


@SOME
@given(st.data())
def test_segment_changes_follow_one_another(data: st.DataObject) -> None:
    """Each change starts where the one before it ended, and names a reason."""
    _, outcomes = run(data.draw(arrivals(data.draw(histories()))))
    held: dict[str, str | None] = dict.fromkeys(CUSTOMERS)
    for change in outcomes:
        if isinstance(change, SegmentChange):
            assert held[change.customer_id] == change.from_segment
            assert change.to_segment != change.from_segment
            held[change.customer_id] = change.to_segment
