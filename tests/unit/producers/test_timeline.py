"""Days between events."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from clv.events import EmailEngaged
from producers.timeline import TimePassed, timeline

START = datetime(2024, 1, 1, tzinfo=UTC)


def _ms(*, days: float) -> int:
    return round((START + timedelta(days=days)).timestamp() * 1000)


def _event(days: float, customer: str = "c") -> EmailEngaged:
    return EmailEngaged(f"{customer}{days}", customer, _ms(days=days), "m", "sent")


def test_every_days_end_stands_between_its_events_and_the_next() -> None:
    """Days without events end too; the last moment is the last event's."""
    first, second, third = _event(0.5), _event(1.0), _event(3.25)
    assert list(timeline([first, second, third])) == [
        first,
        TimePassed(_ms(days=1)),
        second,
        TimePassed(_ms(days=2)),
        TimePassed(_ms(days=3)),
        third,
        TimePassed(_ms(days=3.25), is_end=True),
    ]


def test_events_out_of_order_do_not_turn_time_back() -> None:
    """Time is that of the latest event so far."""
    first, late, last = _event(2.5), _event(1.0), _event(2.6)
    assert list(timeline([first, late, last])) == [first, late, last, TimePassed(_ms(days=2.6), is_end=True)]


def test_no_events_make_no_time() -> None:
    """An empty log says nothing."""
    assert list(timeline([])) == []


def test_one_wrong_year_does_not_carry_time_along() -> None:
    """A lone event far ahead is sent, but no Tick vouches for it."""
    first, wrong, last = _event(0), _event(3_650), _event(0.5)
    assert list(timeline([first, wrong, last])) == [first, wrong, last, TimePassed(_ms(days=0.5), is_end=True)]


def test_time_goes_on_after_a_gap_when_five_customers_agree() -> None:
    """A shop that was closed for two years is no mistake."""
    events = [_event(0), *(_event(730 + n / 10, f"c{n}") for n in range(5))]
    items = list(timeline(events))
    assert items[:5] == events[:5]
    assert items[5] == TimePassed(_ms(days=1))
    assert items[-3:] == [TimePassed(_ms(days=730)), events[5], TimePassed(_ms(days=730.4), is_end=True)]
