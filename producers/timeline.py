"""Event time between events: where the days end, at which a replay tells every partition how far time has come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from clv.outcomes import rfc3339
from clv.settings import DAY_MS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from clv.events import CustomerEvent

log = structlog.get_logger(__name__)

SUSPECT_GAP_DAYS = 365
AGREEING_CUSTOMERS = 5


@dataclass(frozen=True, slots=True)
class TimePassed:
    """Time has come to ``as_of_ms`` everywhere; ``is_end`` at the end of the log rather than of a day."""

    as_of_ms: int
    is_end: bool = False


def timeline(events: Iterable[CustomerEvent]) -> Iterator[CustomerEvent | TimePassed]:
    """Put the end of each event-day (UTC) between the events, and the last event's time behind them.

    Events may be somewhat out of order; time is that of the latest so far. One wrong year must not carry everything
    along: after a gap of more than ``SUSPECT_GAP_DAYS`` time stands still until ``AGREEING_CUSTOMERS`` have events
    behind it; a log that ends before that ends at the gap, with a warning.
    """
    passed_ms = -1  # how far time has come
    doubtful: set[str] = set()
    for event in events:
        if passed_ms < 0:
            passed_ms = event.occurred_ms
        if event.occurred_ms - passed_ms > SUSPECT_GAP_DAYS * DAY_MS:
            doubtful.add(event.customer_id)
            if len(doubtful) < AGREEING_CUSTOMERS:
                yield event
                continue
        doubtful.clear()
        for end_ms in range((passed_ms // DAY_MS + 1) * DAY_MS, event.occurred_ms + 1, DAY_MS):
            yield TimePassed(end_ms)
        passed_ms = max(passed_ms, event.occurred_ms)
        yield event
    if doubtful:
        log.warning("times_far_ahead_ignored", after=rfc3339(passed_ms), customers=len(doubtful))
    if passed_ms >= 0:
        yield TimePassed(passed_ms, is_end=True)
