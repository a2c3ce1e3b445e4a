"""Replay of an order log: its events in event-time order, Ticks at each day's end, as fast as wanted and no faster."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import msgspec
import structlog

from clv.errors import InputError
from clv.events import OrderPlaced, OrderRefunded
from clv.outcomes import event_id
from clv.settings import DAY_MS
from producers.pace import NoPace, Pace
from producers.positions import Position, ReplayPositions
from producers.timeline import TimePassed, timeline

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from clv.events import CustomerEvent
    from producers.publisher import EventSink

log = structlog.get_logger(__name__)

FULL_SPEED = 0.0
_OBSERVED_EVENTS = 500


class ReplayableLog(Protocol):
    """A log that can be gone through again and again, in event-time order, with the same events each time."""

    @property
    def key(self) -> str:
        """Identifies the log and how it was read."""
        ...

    @property
    def first_ms(self) -> int:
        """Event time of the first event."""
        ...

    @property
    def last_ms(self) -> int:
        """Event time of the last event."""
        ...

    def __iter__(self) -> Iterator[CustomerEvent]: ...


class Clock(Protocol):
    """Processing time; ``time`` is one."""

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        ...

    def sleep(self, seconds: float, /) -> None:
        """Let time pass."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayOptions:
    """How to replay.

    Parameters
    ----------
    speed
        Event time per processing time; ``FULL_SPEED`` for as fast as it goes.
    limit
        Events to send at most; None for all.
    is_looped
        Begin again at the end, forever: each round's events are new ones, shifted behind the last round's.
    save_days
        Event-days between saved positions.
    """

    speed: float = FULL_SPEED
    limit: int | None = None
    is_looped: bool = False
    save_days: int = 7


@dataclass(slots=True, kw_only=True)
class ReplayResult:
    """What a replay sent; ``is_interrupted`` when Ctrl-C ended it. Moments are epoch milliseconds, −1 for none."""

    events: int = 0
    orders: int = 0
    refunds: int = 0
    ticks: int = 0
    revenue_minor: int = 0
    refunded_minor: int = 0
    resumed_from_ms: int = -1
    last_ms: int = -1
    seconds: float = 0.0
    is_interrupted: bool = False

    @property
    def events_per_second(self) -> float:
        """Mean rate."""
        return self.events / self.seconds if self.seconds > 0 else 0.0


def parse_speed(text: str) -> float:
    """Read a speed as ``--speed`` takes it.

    Raises
    ------
    InputError
        When it is none.

    Examples
    --------
    >>> parse_speed("100x"), parse_speed("max")
    (100.0, 0.0)
    """
    if text == "max":
        return FULL_SPEED
    try:
        speed = float(text.removesuffix("x"))
    except ValueError:
        speed = -1.0
    if not 0 < speed < 1e9:
        raise InputError(f"--speed is {text!r}", "for example 1x, 100x or max")
    return speed


@dataclass(slots=True, kw_only=True)
class Replay:
    """One replay of a log into a sink.

    Parameters
    ----------
    pace
        Asked after each event-day.
    positions
        Where to go on from, and where to say how far it came; None to start at the beginning and say nothing.
    observe
        Called with the number of events sent and the event time in milliseconds, now and then.
    """

    log: ReplayableLog
    sink: EventSink
    options: ReplayOptions = field(default_factory=ReplayOptions)
    pace: Pace = field(default_factory=NoPace)
    positions: ReplayPositions | None = None
    observe: Callable[[int, int], None] = lambda _events, _at_ms: None
    clock: Clock = time
    result: ReplayResult = field(default_factory=ReplayResult)
    _reached: Position | None = None
    _saved_ms: int = -1
    _due: tuple[float, int] | None = None

    def run(self) -> ReplayResult:
        """Send the log; return what was sent, also when Ctrl-C ends it.

        Raises
        ------
        BrokerError
            When something could not be delivered; the last saved position stands, and a retry goes on from it.
        """
        started = self.clock.monotonic()
        try:
            self._run_rounds()
            self.sink.flush()
            self._save(None)
        except KeyboardInterrupt:
            self.result.is_interrupted = True
            self.sink.flush()
            if self._reached is not None:
                self._save(self._reached)
        self.result.seconds = self.clock.monotonic() - started
        return self.result

    def _run_rounds(self) -> None:
        resumed = self.positions.get(self.log.key) if self.positions else None
        if resumed is not None:
            self.result.resumed_from_ms = resumed.through_ms
            log.info("replay_resumed", round=resumed.round, through_ms=resumed.through_ms)
        number = resumed.round if resumed else 0
        through_ms = resumed.through_ms if resumed else -1
        while self._run_round(number, through_ms) and self.options.is_looped:
            number += 1

    def _run_round(self, number: int, through_ms: int) -> bool:
        """Send one round; return False when the limit has been reached."""
        events = (event for event in self._round_events(number) if event.occurred_ms >= through_ms)
        for item in timeline(events):
            if isinstance(item, TimePassed):
                self._pass_time(item, number)
                continue
            self._send(item)
            if self.result.events == self.options.limit:
                self._tick(item.occurred_ms)
                return False
        return True

    def _round_events(self, number: int) -> Iterator[CustomerEvent]:
        if number == 0:
            return iter(self.log)
        days = (self.log.last_ms - self.log.first_ms) // DAY_MS + 1
        return (_in_round(event, number, number * days * DAY_MS) for event in self.log)

    def _send(self, event: CustomerEvent) -> None:
        self._wait_until_due(event.occurred_ms)
        self.sink.send(event)
        result = self.result
        result.events += 1
        result.last_ms = event.occurred_ms
        if isinstance(event, OrderPlaced):
            result.orders += 1
            result.revenue_minor += event.total_minor
        elif isinstance(event, OrderRefunded):
            result.refunds += 1
            result.refunded_minor += event.amount_minor
        if result.events % _OBSERVED_EVENTS == 0:
            self.observe(result.events, event.occurred_ms)

    def _pass_time(self, passed: TimePassed, number: int) -> None:
        self._wait_until_due(passed.as_of_ms)
        self._tick(passed.as_of_ms)
        self.observe(self.result.events, passed.as_of_ms)
        if passed.is_end:
            return
        self.sink.flush()
        self._reached = Position(number, passed.as_of_ms)
        if passed.as_of_ms - self._saved_ms >= self.options.save_days * DAY_MS:
            self._save(self._reached)
        self.pace.wait_until(passed.as_of_ms)

    def _tick(self, as_of_ms: int) -> None:
        self.sink.tick(as_of_ms)
        self.result.ticks += 1

    def _save(self, position: Position | None) -> None:
        if self.positions is not None:
            self.positions.put(self.log.key, position)
            self._saved_ms = position.through_ms if position else -1

    def _wait_until_due(self, event_ms: int) -> None:
        if self.options.speed == FULL_SPEED:
            return
        now = self.clock.monotonic()
        if self._due is None:
            self._due = (now, event_ms)
        since, from_ms = self._due
        ahead = since + (event_ms - from_ms) / 1000 / self.options.speed - now
        if ahead > 0:
            self.sink.flush()
            self.observe(self.result.events, event_ms)
            self.clock.sleep(ahead)


def _in_round(event: CustomerEvent, number: int, shift_ms: int) -> CustomerEvent:
    """Make a new event of one: later, and with ids of its own."""

    def renamed(old: str) -> str:
        return event_id("round", number, old) if old else ""

    at, own_id = event.occurred_ms + shift_ms, renamed(event.event_id)
    if isinstance(event, OrderPlaced):
        return msgspec.structs.replace(event, event_id=own_id, occurred_ms=at, order_id=renamed(event.order_id))
    if isinstance(event, OrderRefunded):
        ids = {"refund_id": renamed(event.refund_id), "order_id": renamed(event.order_id)}
        return msgspec.structs.replace(event, event_id=own_id, occurred_ms=at, **ids)
    return msgspec.structs.replace(event, event_id=own_id, occurred_ms=at)
