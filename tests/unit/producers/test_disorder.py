"""What goes wrong with events on their way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clv.events import EmailEngaged
from clv.settings import DAY_MS, HOUR_MS
from producers.disorder import DisorderedLog
from tests.unit.producers.fakes import ListLog

if TYPE_CHECKING:
    from clv.events import CustomerEvent

EVENTS = [EmailEngaged(f"e{n:04d}", "c", n * HOUR_MS, "m", "sent") for n in range(2_000)]
LOG = ListLog([*EVENTS])


def _moment(event: CustomerEvent) -> int:
    return event.occurred_ms


def test_without_disorder_the_log_is_as_it_was() -> None:
    """Rates of zero change nothing."""
    assert list(DisorderedLog(log=LOG, seed=1)) == EVENTS


def test_duplicates_come_again_unchanged_within_three_days() -> None:
    """About the asked share, and nothing else."""
    sent = list(DisorderedLog(log=LOG, seed=1, duplicate_rate=0.1))
    assert sorted(set(sent), key=_moment) == EVENTS
    assert 140 < len(sent) - len(EVENTS) < 260


def test_late_and_out_of_order_events_keep_their_bounds() -> None:
    """Late ones arrive behind the allowed lateness, the others inside it; none is lost."""
    for rates, low, high in (({"late_rate": 0.1}, 0.9, 3.1), ({"out_of_order_rate": 0.1}, 0.0, 1.0)):
        newest, behind = 0, []
        for event in (sent := list(DisorderedLog(log=LOG, seed=3, lateness_ms=DAY_MS, **rates))):
            newest = max(newest, event.occurred_ms)
            if newest > event.occurred_ms and event.occurred_ms < LOG.last_ms - 4 * DAY_MS:  # at the end, time stops
                behind.append((newest - event.occurred_ms) / DAY_MS)
        assert sorted(sent, key=_moment) == EVENTS
        assert 100 < len(behind) < 300
        assert low <= min(behind)
        assert max(behind) <= high


def test_the_same_seed_gives_the_same_disorder() -> None:
    """Also when iterated twice."""
    log = DisorderedLog(log=LOG, seed=1, late_rate=0.05, out_of_order_rate=0.1, duplicate_rate=0.05)
    assert list(log) == list(log)
