"""Stand-ins for what producers talk to: a sink that records, a clock that is turned by hand, progress from a script."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clv.errors import BrokerError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clv.events import CustomerEvent
    from producers.pace import Progress
    from producers.positions import Position


@dataclass
class RecordingSink:
    """Keeps what it is given: events as themselves, Ticks as their moments; stops when told."""

    items: list[CustomerEvent | int] = field(default_factory=list)
    interrupt_after: int = -1
    fail_after: int = -1
    flushes: int = 0

    @property
    def events(self) -> list[CustomerEvent]:
        """What was sent, without Ticks."""
        return [item for item in self.items if not isinstance(item, int)]

    @property
    def ticks(self) -> list[int]:
        """Moments of the Ticks."""
        return [item for item in self.items if isinstance(item, int)]

    def send(self, event: CustomerEvent) -> None:
        """Keep an event."""
        if len(self.events) == self.interrupt_after:
            raise KeyboardInterrupt
        if len(self.events) == self.fail_after:
            raise BrokerError("planted")
        self.items.append(event)

    def tick(self, as_of_ms: int) -> None:
        """Keep a Tick."""
        self.items.append(as_of_ms)

    def flush(self) -> None:
        """Count."""
        self.flushes += 1


@dataclass
class ManualClock:
    """Time that passes only in ``sleep``."""

    now: float = 0.0
    slept: list[float] = field(default_factory=list)

    def monotonic(self) -> float:
        """Return the time."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let time pass at once."""
        self.slept.append(seconds)
        self.now += seconds


@dataclass
class ScriptedProgress:
    """Gives one prepared answer a poll, then nothing; each poll takes its timeout on the clock."""

    partitions: int
    answers: list[list[Progress]]
    clock: ManualClock
    polls: int = 0

    def poll(self, timeout_seconds: float) -> list[Progress]:
        """Give the next answer."""
        self.polls += 1
        self.clock.now += timeout_seconds
        return self.answers.pop(0) if self.answers else []


@dataclass
class MemoryPositions:
    """Keeps positions in memory, and all that were ever put."""

    known: dict[str, Position] = field(default_factory=dict)
    history: list[Position | None] = field(default_factory=list)

    def get(self, key: str) -> Position | None:
        """Return what was put last."""
        return self.known.get(key)

    def put(self, key: str, position: Position | None) -> None:
        """Keep or forget."""
        self.history.append(position)
        if position is None:
            self.known.pop(key, None)
        else:
            self.known[key] = position


@dataclass
class ListLog:
    """Events in a list."""

    events: list[CustomerEvent]
    key: str = "log"

    @property
    def first_ms(self) -> int:
        """Of the first event."""
        return self.events[0].occurred_ms

    @property
    def last_ms(self) -> int:
        """Of the last event."""
        return self.events[-1].occurred_ms

    def __iter__(self) -> Iterator[CustomerEvent]:
        return iter(self.events)
