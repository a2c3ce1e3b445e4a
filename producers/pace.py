"""Keeps a fast replay from running ahead of those who learn from it.

Models must arrive within a few event-days of the events that they are used for; at full speed a replay would be
months ahead before the first was trained.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import structlog

from clv.outcomes import rfc3339
from clv.settings import DAY_MS

if TYPE_CHECKING:
    from collections.abc import Callable

log = structlog.get_logger(__name__)

STALL_SECONDS = 60.0
_POLL_SECONDS = 0.2


class Pace(Protocol):
    """Says when a replay may go on."""

    def wait_until(self, event_ms: int) -> None:
        """Return when those downstream are ready for events from ``event_ms`` on.

        ``replay`` calls it from its own thread after each event-day, once that day's events and Ticks are acknowledged.
        It may take long, but not forever.
        """
        ...


class NoPace:
    """Never waits."""

    def wait_until(self, event_ms: int) -> None:
        """Return at once."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Somebody downstream has come to ``at_ms``: the worker of a ``partition``, or the scorer's learning."""

    who: Literal["worker", "scorer"]
    at_ms: int
    partition: int = 0


class ProgressSource(Protocol):
    """Tells of progress downstream; read by ``LeadPace`` from the replay's thread."""

    partitions: int

    def poll(self, timeout_seconds: float) -> list[Progress]:
        """Return what has become known since the last call; wait at most ``timeout_seconds`` for something."""
        ...


class LeadPace:
    """Wait while workers or the scorer are more than a lead behind.

    Workers count from their slowest partition's watermark, once every partition has one. The scorer counts from its
    second announcement, and may be behind by as much again as its announcements are apart (it cannot announce what it
    has not been sent). Whoever makes no progress for ``STALL_SECONDS`` while waited for is warned about once, and not
    waited for again.

    Parameters
    ----------
    max_lead_ms
        Event time that the replay may be ahead; more than the allowed lateness, which watermarks are behind by.
    start_ms
        Event time of the first event to be sent: progress before there is any.
    """

    def __init__(
        self,
        source: ProgressSource,
        *,
        max_lead_ms: int,
        start_ms: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._max_lead_ms = max_lead_ms
        self._start_ms = start_ms
        self._clock = clock
        self._watermarks: dict[int, int] = {}
        self._learned: list[int] = []
        self._given_up: set[str] = set()

    def wait_until(self, event_ms: int) -> None:
        """Poll the source until nobody is too far behind, or gives no sign of life."""
        waiting_since = self._clock()
        while late := self._too_far_behind(event_ms):
            if self._take(self._source.poll(_POLL_SECONDS), late):
                waiting_since = self._clock()
            elif self._clock() - waiting_since >= STALL_SECONDS:
                self._given_up |= late
                log.warning(
                    "no progress seen, the replay goes on without waiting", of=sorted(late), at=rfc3339(event_ms)
                )

    def _take(self, news: list[Progress], awaited: set[str]) -> bool:
        """Note progress; return whether anybody of those awaited made any."""
        before = (self._worker_ms(), tuple(self._learned))
        for progress in news:
            if progress.who == "worker":
                known = self._watermarks.get(progress.partition, progress.at_ms)
                self._watermarks[progress.partition] = max(known, progress.at_ms)
            elif not self._learned or progress.at_ms > self._learned[-1]:
                self._learned = [*self._learned[-7:], progress.at_ms]
        after = (self._worker_ms(), tuple(self._learned))
        return bool(("worker" in awaited and after[0] > before[0]) or ("scorer" in awaited and after[1] != before[1]))

    def _worker_ms(self) -> int:
        if len(self._watermarks) < self._source.partitions:
            return self._start_ms
        return min(self._watermarks.values())

    def _too_far_behind(self, event_ms: int) -> set[str]:
        late = set()
        if event_ms - self._worker_ms() > self._max_lead_ms:
            late.add("worker")
        if len(self._learned) > 1:
            apart_ms = max(b - a for a, b in zip(self._learned, self._learned[1:], strict=False))
            if event_ms - self._learned[-1] > self._max_lead_ms + apart_ms + DAY_MS:
                late.add("scorer")
        return late - self._given_up
