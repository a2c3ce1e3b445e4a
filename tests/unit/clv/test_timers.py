"""The index of due customers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from clv.rules import DAY_MS
from clv.state import NEVER_MS
from clv.timers import TimerIndex


def test_due_in_order_of_time_and_id() -> None:
    """What lies before the moment comes out by time, then id; the moment itself is not yet due."""
    timers = TimerIndex([(30, "c"), (10, b"b"), (10, "a"), (20, b"d")])
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
    """A customer whose next timer is due as well comes out again, on the same day or on a later one."""
    timers = TimerIndex([(10, "a")])
    due = {"a": 10}
    seen = []
    for entry in timers.due(3 * DAY_MS, due.get):
        seen.append(entry)
        if due["a"] < 2 * DAY_MS:
            due["a"] += DAY_MS // 2
            timers.add(due["a"], "a")
    assert seen == [(10 + place * DAY_MS // 2, "a") for place in range(5)]


def test_never_is_not_kept() -> None:
    """A customer with nothing to come takes no room."""
    timers = TimerIndex()
    timers.add(NEVER_MS, "a")
    assert (len(timers), timers.next_ms()) == (0, NEVER_MS)


_MOVES = st.lists(
    st.tuples(st.integers(0, 5 * DAY_MS), st.sampled_from("abcd"), st.integers(0, 6 * DAY_MS)), max_size=40
)


@given(_MOVES)
def test_everybody_comes_out_once_when_due(moves: list[tuple[int, str, int]]) -> None:
    """Whatever is added and asked in between, what comes out is what the states say, as a plain search finds it."""
    timers, due = TimerIndex(), dict[str, int]()
    for due_ms, customer, before_ms in moves:
        due[customer] = due_ms
        timers.add(due_ms, customer)
        expected = sorted((at, name) for name, at in due.items() if at < before_ms)
        assert not expected or timers.next_ms() <= expected[0][0]
        found = []
        for at, name in timers.due(before_ms, due.get):
            found.append((at, name))
            del due[name]
        assert found == expected
