"""When a replay waits, and when it stops waiting."""

from __future__ import annotations

from clv.settings import DAY_MS
from producers.pace import STALL_SECONDS, LeadPace, Progress
from tests.unit.producers.fakes import ManualClock, ScriptedProgress

LEAD_MS = 7 * DAY_MS


def _worker(day: float, partition: int = 0) -> Progress:
    return Progress("worker", round(day * DAY_MS), partition)


def _scorer(day: float) -> Progress:
    return Progress("scorer", round(day * DAY_MS))


def _pace(answers: list[list[Progress]], partitions: int = 1) -> tuple[LeadPace, ScriptedProgress]:
    clock = ManualClock()
    source = ScriptedProgress(partitions, answers, clock)
    return LeadPace(source, max_lead_ms=LEAD_MS, start_ms=0, clock=clock.monotonic), source


def test_inside_the_lead_nothing_is_asked() -> None:
    """The first week needs no progress."""
    pace, source = _pace([])
    pace.wait_until(LEAD_MS)
    assert source.polls == 0


def test_it_waits_for_the_slowest_partition() -> None:
    """One partition's progress is not enough."""
    pace, source = _pace([[_worker(9, 0)], [_worker(1, 1)], [], [_worker(2, 1)]], partitions=2)
    pace.wait_until(8 * DAY_MS)
    assert source.polls == 2
    pace.wait_until(9 * DAY_MS)
    assert source.polls == 4


def test_a_watermark_never_goes_back() -> None:
    """An older report that comes late changes nothing."""
    pace, source = _pace([[_worker(3)], [_worker(1)]])
    pace.wait_until(8 * DAY_MS)
    pace.wait_until(10 * DAY_MS)
    assert source.polls == 1


def test_it_waits_for_the_scorer_by_its_own_rhythm() -> None:
    """A scorer that announces every five days may be five days further behind, and is waited for beyond."""
    pace, source = _pace([[_worker(30), _scorer(5), _scorer(10)], [_scorer(15)]])
    pace.wait_until(10 * DAY_MS)
    pace.wait_until(23 * DAY_MS)
    assert source.polls == 1
    pace.wait_until(24 * DAY_MS)
    assert source.polls == 2


def test_without_any_sign_of_life_it_goes_on_and_does_not_wait_again() -> None:
    """It gives up after the stall time, once."""
    pace, source = _pace([])
    pace.wait_until(8 * DAY_MS)
    polls = source.polls
    assert source.clock.now >= STALL_SECONDS
    pace.wait_until(800 * DAY_MS)
    assert source.polls == polls


def test_slow_progress_is_waited_for_as_long_as_it_takes() -> None:
    """Each sign of life starts the stall time anew."""
    nothing: list[list[Progress]] = [[]] * 90
    answers = [*nothing, [_worker(0.5)], *nothing, [_worker(0.9)], *nothing, [_worker(1)]]
    pace, source = _pace(answers)
    pace.wait_until(8 * DAY_MS)
    assert source.polls == 3 * 91


def test_a_silent_scorer_is_given_up_and_workers_are_still_waited_for() -> None:
    """Who goes silent does not excuse the others."""
    pace, source = _pace([[_worker(1), _scorer(1), _scorer(2)]])
    pace.wait_until(8 * DAY_MS)
    source.answers = [[_worker(30)]]
    pace.wait_until(20 * DAY_MS)
    source.answers = [[], [_worker(40)]]
    polls = source.polls
    pace.wait_until(45 * DAY_MS)
    assert source.polls == polls + 2
