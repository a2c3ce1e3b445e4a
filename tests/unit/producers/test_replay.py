"""A log into a sink: order, Ticks, speed, limit, rounds, resumption."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from clv.errors import BrokerError, InputError
from clv.events import OrderPlaced, OrderRefunded
from clv.settings import DAY_MS
from producers.positions import Position
from producers.replay import Replay, ReplayOptions, parse_speed
from tests.unit.producers.fakes import ListLog, ManualClock, MemoryPositions, RecordingSink

if TYPE_CHECKING:
    from clv.events import CustomerEvent

NOON = DAY_MS // 2
START = 19_723 * DAY_MS  # 2024-01-01


def _order(day: int, number: int = 0) -> OrderPlaced:
    name = f"o{day}.{number}"
    return OrderPlaced(f"e-{name}", f"c{number}", START + day * DAY_MS + NOON, name, 100)


def _refund(day: int) -> OrderRefunded:
    return OrderRefunded(f"r-{day}", "c0", START + day * DAY_MS + NOON + 1, f"r{day}", 30, "o0.0")


def _log(days: int = 10) -> ListLog:
    return ListLog([_order(day) for day in range(days)])


@dataclass
class NotedPace:
    """Notes what it is asked."""

    asked: list[int] = field(default_factory=list)

    def wait_until(self, event_ms: int) -> None:
        """Note."""
        self.asked.append(event_ms)


def test_events_ticks_and_pace_follow_event_time() -> None:
    """A Tick ends each day before the next begins, the last one stands at the last event; pace is asked per day."""
    sink, pace = RecordingSink(), NotedPace()
    events: list[CustomerEvent] = [_order(0), _refund(0), _order(2)]
    result = Replay(log=ListLog(events), sink=sink, pace=pace).run()
    ends = [START + DAY_MS, START + 2 * DAY_MS]
    assert sink.items == [events[0], events[1], *ends, events[2], events[2].occurred_ms]
    assert pace.asked == ends
    assert (result.events, result.orders, result.refunds, result.ticks) == (3, 2, 1, 3)
    assert (result.revenue_minor, result.refunded_minor, result.last_ms) == (200, 30, events[2].occurred_ms)
    assert not result.is_interrupted


def test_a_limit_ends_the_replay_with_a_tick() -> None:
    """What was sent is told to every partition."""
    sink = RecordingSink()
    Replay(log=_log(), sink=sink, options=ReplayOptions(limit=2)).run()
    assert sink.items == [_order(0), START + DAY_MS, _order(1), _order(1).occurred_ms]


def test_speed_spreads_events_over_processing_time() -> None:
    """At a day a second, noon to noon takes a second."""
    clock, sink = ManualClock(), RecordingSink()
    result = Replay(log=_log(3), sink=sink, clock=clock, options=ReplayOptions(speed=86_400)).run()
    assert clock.slept == [0.5, 0.5, 0.5, 0.5]
    assert result.seconds == 2.0
    assert result.events_per_second == 1.5


def test_rounds_are_new_events_behind_the_last_round() -> None:
    """Each round's ids are its own; refunds still name their round's orders; time goes on."""
    sink = RecordingSink()
    events: list[CustomerEvent] = [_order(0), _refund(0), _order(1)]
    Replay(log=ListLog(events), sink=sink, options=ReplayOptions(is_looped=True, limit=7)).run()
    sent = sink.events
    assert sent[:3] == events
    assert [event.occurred_ms - old.occurred_ms for event, old in zip(sent[3:6], events, strict=True)] == [
        2 * DAY_MS
    ] * 3
    assert len({event.event_id for event in sent}) == 7
    order, refund = sent[3:5]
    assert isinstance(order, OrderPlaced)
    assert isinstance(refund, OrderRefunded)
    assert refund.order_id == order.order_id != "o0.0"
    assert order.customer_id == events[0].customer_id
    assert sink.ticks == sorted(sink.ticks)


def test_an_interrupted_replay_goes_on_where_it_was() -> None:
    """Ctrl-C saves the last day that was flushed; the next run sends from there on, to the end, and forgets it."""
    positions, first, second = MemoryPositions(), RecordingSink(interrupt_after=5), RecordingSink()
    result = Replay(log=_log(), sink=first, positions=positions).run()
    assert result.is_interrupted
    assert positions.get("log") == Position(0, START + 5 * DAY_MS)
    again = Replay(log=_log(), sink=second, positions=positions).run()
    assert again.resumed_from_ms == START + 5 * DAY_MS
    assert first.events + second.events == _log().events
    assert positions.known == {}


def test_a_failed_delivery_leaves_the_last_saved_position() -> None:
    """Positions are saved every few event-days, so that a crash repeats little."""
    positions, sink = MemoryPositions(), RecordingSink(fail_after=6)
    options = ReplayOptions(save_days=2)
    with pytest.raises(BrokerError):
        Replay(log=_log(), sink=sink, positions=positions, options=options).run()
    assert positions.history == [Position(0, START + day * DAY_MS) for day in (1, 3, 5)]


def test_an_interrupted_round_is_taken_up_in_that_round() -> None:
    """Resumption knows the round as well as the time."""
    positions, sink = MemoryPositions(), RecordingSink(interrupt_after=5)
    options = ReplayOptions(is_looped=True)
    Replay(log=_log(3), sink=sink, positions=positions, options=options).run()
    rest = RecordingSink(interrupt_after=2)
    Replay(log=_log(3), sink=rest, positions=positions, options=options).run()
    whole = RecordingSink(interrupt_after=7)
    Replay(log=_log(3), sink=whole, options=options).run()
    assert [*sink.events, *rest.events] == whole.events


@pytest.mark.parametrize(("text", "speed"), [("1x", 1.0), ("2.5", 2.5), ("max", 0.0)])
def test_speeds(text: str, speed: float) -> None:
    """With or without the x."""
    assert parse_speed(text) == speed


@pytest.mark.parametrize("text", ["", "fast", "0x", "-1x", "nan", "inf"])
def test_speeds_that_are_none(text: str) -> None:
    """Refused with an example."""
    with pytest.raises(InputError) as caught:
        parse_speed(text)
    assert "100x" in caught.value.hint
