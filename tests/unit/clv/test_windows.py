"""Windows of customers' pasts: where they begin, how long they last, what they are worth; and samples of them."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from clv.features import FEATURE_NAMES
from clv.moments import features_at
from clv.rules import DAY_MS, Rules
from clv.state import CustomerState
from clv.testing import PartitionRig, email, erasure, order, refund
from clv.windows import Window, WindowSample, windows_of

if TYPE_CHECKING:
    from collections.abc import Sequence

RULES = Rules(far_ahead_ms=3_650 * DAY_MS)


def at(day: float) -> float:
    """Epoch seconds of a day since 1970."""
    return day * 86_400


def end_of(day: int) -> int:
    """The last millisecond of a day."""
    return (day + 1) * DAY_MS - 1


HISTORY = (
    order("c", "o1", at(100.5), "10.00", category="hats", acquisition={"source": "search", "campaign_type": "brand"}),
    order("c", "o2", at(110.25), "30.00", category="shoes"),
    refund("c", "r1", at(120.5), "15.00", order_id="o2"),
    email("c", "m1", at(125.0), "sent"),
    order("c", "o3", at(140.75), "20.00"),
)


def state_of(records: Sequence[tuple[bytes, bytes]], rules: Rules = RULES) -> CustomerState:
    """Customer c after the records, one by one."""
    rig = PartitionRig(rules)
    for record in records:
        rig.feed([record])
    return rig.state("c")


def brief(windows: list[Window]) -> list[tuple[int, int, int]]:
    """Day of the beginning, days that it lasted, value in cents."""
    return [(window.as_of_ms // DAY_MS, window.span_days, window.value_minor) for window in windows]


def test_windows_begin_at_purchase_days_and_anniversaries() -> None:
    """Each lasts a horizon or until now, at least a fortnight, and is worth what was bought in it less refunds."""
    windows = windows_of(state_of(HISTORY), end_of(200), RULES)
    assert brief(windows) == [
        (100, 90, 3_000 - 1_500 + 2_000),  # o1
        (110, 90, 2_000 - 1_500),  # o2
        (130, 70, 2_000),  # 30 days after the first purchase
        (140, 60, 0),  # o3
        (160, 40, 0),  # 60 days after; 90 days after would have lasted 10 days
    ]
    assert [window.as_of_ms for window in windows] == [end_of(day) for day in (100, 110, 130, 140, 160)]


def test_features_are_those_of_the_windows_beginning() -> None:
    """A window knows what a customer who had done no more by then would show: totals, e-mails, attributes."""
    windows = windows_of(state_of(HISTORY), end_of(200), RULES)
    for window, known in zip(windows, (1, 2, 4, 5, 5), strict=True):
        assert window.features == features_at(state_of(HISTORY[:known]), window.as_of_ms)


def test_a_span_ends_with_the_last_whole_day() -> None:
    """What is bought on a day that has not ended yet is in no window's value."""
    records = [*HISTORY, order("c", "o4", at(200.4), "9.00")]
    noon = end_of(199) + DAY_MS // 2
    assert brief(windows_of(state_of(records), noon, RULES)) == [
        (100, 90, 3_500),
        (110, 89, 500),
        (130, 69, 2_000),
        (140, 59, 0),
        (160, 39, 0),
    ]
    assert brief(windows_of(state_of(records), end_of(200), RULES))[1:] == [
        (110, 90, 500 + 900),
        (130, 70, 2_000 + 900),
        (140, 60, 900),
        (160, 40, 900),
    ]


@pytest.mark.parametrize("seed", range(5))
def test_order_of_arrival_changes_nothing(seed: int) -> None:
    """The same events in another order, repeated, give the same windows."""
    records = [*HISTORY, *HISTORY[1:3]]
    random.Random(seed).shuffle(records)
    assert windows_of(state_of(records), end_of(200), RULES) == windows_of(state_of(HISTORY), end_of(200), RULES)


def test_a_refund_greater_than_what_was_bought_is_worth_nothing() -> None:
    """A window's value is never below zero."""
    records = [order("c", "o1", at(100), "10.00"), refund("c", "r1", at(101), "500.00")]
    assert brief(windows_of(state_of(records), end_of(190), RULES))[0] == (100, 90, 0)


def test_what_was_erased_is_in_no_window() -> None:
    """After an erasure windows begin at what happened later, and know nothing of what went before."""
    state = state_of([*HISTORY, erasure("c", "e1", at(130))])
    windows = windows_of(state, end_of(200), RULES)
    assert brief(windows) == [(140, 60, 0), (170, 30, 0)]
    assert windows == windows_of(state_of([HISTORY[-1]]), end_of(200), RULES)


def test_customers_without_a_purchase_have_no_windows() -> None:
    """Neither nobody, nor one of free orders alone, nor one who bought a week ago."""
    assert windows_of(CustomerState(), end_of(200), RULES) == []
    assert windows_of(state_of([order("c", "o1", at(100), "0.00")]), end_of(200), RULES) == []
    assert windows_of(state_of([order("c", "o1", at(100), "5.00")]), end_of(113), RULES) == []
    assert brief(windows_of(state_of([order("c", "o1", at(100), "5.00")]), end_of(114), RULES)) == [(100, 14, 0)]


def test_a_short_horizon_has_short_windows() -> None:
    """Where the horizon is a week, a window need not last a fortnight."""
    rules = Rules(horizon_ms=7 * DAY_MS, far_ahead_ms=3_650 * DAY_MS)
    assert brief(windows_of(state_of(HISTORY, rules), end_of(147), rules))[-2:] == [(130, 7, 0), (140, 7, 0)]


def test_a_pruned_ledger_gives_the_windows_that_it_can_know() -> None:
    """Windows begin after what was folded away, and are those that the whole ledger gives."""
    records = []
    for n in range(20):
        records.append(order("c", f"o{n}", at(100 + 25 * n), f"{n + 5}.00", category=f"k{n}"))
        records.append(refund("c", f"r{n}", at(103 + 25 * n), "2.50", order_id=f"o{n}"))
    short = Rules(far_ahead_ms=3_650 * DAY_MS, window_ms=150 * DAY_MS)
    pruned = state_of(records, short)
    now_ms = end_of(580)
    windows, whole = windows_of(pruned, now_ms, short), windows_of(state_of(records), now_ms, RULES)
    assert pruned.base is not None
    assert 0 < len(windows) < len(whole)
    assert windows == whole[-len(windows) :]
    assert windows[0].as_of_ms > pruned.pruned_ms
    assert {100 + 365} <= {window.as_of_ms // DAY_MS for window in windows}, "anniversaries count from the base's first"


def test_windows_go_back_no_further_than_a_year() -> None:
    """What is older has been learnt before."""
    records = [order("c", f"o{n}", at(100 + 50 * n), "5.00") for n in range(16)]
    windows = windows_of(state_of(records), end_of(900), RULES)
    assert windows[0].as_of_ms // DAY_MS == 550


def many() -> dict[str, CustomerState]:
    """Sixty customers with two to nine windows each, by the end of day 200."""
    states = {}
    for number in range(60):
        days = sorted({100 + (number * 7 + 11 * step) % 80 for step in range(1 + number % 8)})
        states[f"customer {number}"] = state_of(
            [order("c", f"o{day}", at(day), f"{1 + number}.00") for day in days],
        )
    return states


def test_a_sample_does_not_depend_on_the_order_of_customers() -> None:
    """However customers come, the same ones are sampled, and their windows in the same order."""
    states = many()
    names = sorted(states)
    samples = []
    for seed in range(6):
        random.Random(seed).shuffle(names)
        sample = WindowSample(limit=90)
        for name in names:
            sample.add(name, states[name], end_of(200), RULES)
        samples.append([column.tolist() for column in sample.windows()])
    assert all(sample == samples[0] for sample in samples)
    assert 80 < len(samples[0][1]) <= 90


def test_a_sample_is_bounded_all_along() -> None:
    """No more than twice the limit and one customer's windows are ever held, and no more than the limit is returned."""
    sample, most = WindowSample(limit=40), 0
    for name, state in many().items():
        sample.add(name, state, end_of(200), RULES)
        most = max(most, sum(len(rows) for rows in sample._held.values()))
        assert sample._count == sum(len(rows) for rows in sample._held.values())
    assert 40 < most <= 2 * 40
    assert len(sample.windows().value_minor) <= 40


def test_an_unlimited_sample_holds_every_window() -> None:
    """Below the limit it is all windows, each customer's together, oldest first."""
    states, sample = many(), WindowSample()
    for name, state in states.items():
        sample.add(name, state, end_of(200), RULES)
    windows = sample.windows()
    assert windows.features.shape == (len(windows.value_minor), len(FEATURE_NAMES))
    found = {}
    for customer in range(len(states)):
        mine = windows.customer == customer
        found[tuple(windows.as_of_ms[mine].tolist()), tuple(windows.value_minor[mine].tolist())] = (
            windows.features[mine].tolist(),
            windows.span_days[mine].tolist(),
        )
    for state in states.values():
        own = windows_of(state, end_of(200), RULES)
        features, spans = found[tuple(w.as_of_ms for w in own), tuple(w.value_minor for w in own)]
        assert features == [list(window.features) for window in own]
        assert spans == [window.span_days for window in own]


def test_a_sample_of_nobody_is_empty() -> None:
    """No customers, or customers without windows, give arrays of no rows."""
    sample = WindowSample()
    sample.add("c", CustomerState(), end_of(200), RULES)
    windows = sample.windows()
    assert windows.features.shape == (0, len(FEATURE_NAMES))
    assert [len(column) for column in windows] == [0] * 5
