"""A log cut into event-days (UTC), each whole: also the last one, whatever the time of the log's last event."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from clv.rules import DAY_MS
from producers.timeline import TimePassed, timeline

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from clv.events import CustomerEvent


class Day(NamedTuple):
    """An event-day: its number since 1970-01-01, and what happened on it.

    A time so far ahead that ``producers.timeline`` doubts it is among the events of the day at which it came.
    """

    number: int
    events: list[CustomerEvent]

    @property
    def end_ms(self) -> int:
        """The next midnight, epoch milliseconds: what the Tick at the day's end says."""
        return (self.number + 1) * DAY_MS


def days_of(events: Iterable[CustomerEvent]) -> Iterator[Day]:
    """Yield the days from the first event's to the last one's, those without an event too.

    Time passes exactly as in ``clv replay``, but that the last day ends at midnight like all others: what is said at a
    day's end does not depend on whether the log goes on.
    """
    today: list[CustomerEvent] = []
    for item in timeline(events):
        if not isinstance(item, TimePassed):
            today.append(item)
            continue
        yield Day(item.as_of_ms // DAY_MS - (0 if item.is_end else 1), today)
        today = []
