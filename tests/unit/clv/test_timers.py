"""The index of due customers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from clv.state import NEVER_MS
from clv.timers import TimerIndex


def test_due_in_order_of_time_and_id() -> None:
    """What lies before the moment comes out by time, then id; the moment itself is not yet due."""
    timers = TimerIndex([(30, "c"), (10, "b"), (10, "a"), (20, "d")])
    due = {"a": 10, "b": 10, "c": 30, "d": 20}
    assert list(timers.due(30, due.get)) == [(10, "a"), (10, "b"), (20, "d")]
    assert timers.next_ms() == 30


def test_stale_and_repeated_entries_fall_out() -> None:
    """An entry counts only if it is what the customer's state says, and once."""
    timers = TimerIndex()
    for at in (10, 20, 20, 15):
        timers.add(at, "a")
    timers.add(10, "gone")
    assert list(timers.due(100, {"a": 20}.get)) == [(20, "a")]
    assert (len(timers), timers.next_ms()) == (0, NEVER_MS)


def test_entries_may_be_added_while_due_ones_come_out() -> None:
    """A customer whose next timer is due as well comes out again."""
    timers = TimerIndex([(10, "a")])
    due = {"a": 10}
    seen = []
    for entry in timers.due(100, due.get):
        seen.append(entry)
        if due["a"] < 40:
            due["a"] += 10
            timers.add(due["a"], "a")
    assert seen == [(10, "a"), (20, "a"), (30, "a"), (40, "a")]


def test_never_is_not_kept() -> None:
    """A customer with nothing to come takes no room."""
    timers = TimerIndex()
    timers.add(NEVER_MS, "a")
    assert len(timers) == 0


@given(st.lists(st.tuples(st.integers(0, 50), st.sampled_from("abcd")), max_size=40), st.integers(0, 60))
def test_compacting_changes_nothing_that_is_due(entries: list[tuple[int, str]], before: int) -> None:
    """Without its stale entries an index gives out the same."""
    due = {customer: at for at, customer in entries}
    plain, compacted = TimerIndex(entries), TimerIndex(entries)
    compacted.compact(due.get)
    assert len(compacted) == len(due)
    assert list(plain.due(before, due.get)) == list(compacted.due(before, due.get))
