"""What happens to events on their way: some come late, some out of order, some twice."""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clv.settings import DAY_MS, HOUR_MS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clv.events import CustomerEvent
    from producers.replay import ReplayableLog

_DUPLICATE_WITHIN_MS = 3 * DAY_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class DisorderedLog:
    """The events of a log in the order in which they arrive.

    Parameters
    ----------
    late_rate
        Share of events that arrive after more than ``lateness_ms``, up to three times as much.
    out_of_order_rate
        Share that arrives later than it happened, but within nine tenths of ``lateness_ms``.
    duplicate_rate
        Share that arrives a second time, unchanged, within three days.

    Notes
    -----
    Holds what is under way: with rates of a few percent, a few percent of three days' events.
    """

    log: ReplayableLog
    seed: int
    late_rate: float = 0.0
    out_of_order_rate: float = 0.0
    duplicate_rate: float = 0.0
    lateness_ms: int = 24 * HOUR_MS

    @property
    def key(self) -> str:
        """The log's own key: what is sent is the same, only its order differs."""
        return self.log.key

    @property
    def first_ms(self) -> int:
        """Event time of the log's first event."""
        return self.log.first_ms

    @property
    def last_ms(self) -> int:
        """Event time of the log's last event."""
        return self.log.last_ms

    def __iter__(self) -> Iterator[CustomerEvent]:
        chance = random.Random(f"{self.seed}/disorder")  # noqa: S311  # simulation
        under_way: list[tuple[int, int, CustomerEvent]] = []
        for number, event in enumerate(self.log):
            while under_way and under_way[0][0] <= event.occurred_ms:
                yield heapq.heappop(under_way)[2]
            delay_ms = self._delay_ms(chance)
            heapq.heappush(under_way, (event.occurred_ms + delay_ms, 2 * number, event))
            if chance.random() < self.duplicate_rate:
                again_ms = event.occurred_ms + delay_ms + round(chance.random() * _DUPLICATE_WITHIN_MS)
                heapq.heappush(under_way, (again_ms, 2 * number + 1, event))
        while under_way:
            yield heapq.heappop(under_way)[2]

    def _delay_ms(self, chance: random.Random) -> int:
        draw = chance.random()
        if draw < self.late_rate:
            return round(self.lateness_ms * chance.uniform(1.05, 3))
        if draw < self.late_rate + self.out_of_order_rate:
            return round(self.lateness_ms * chance.uniform(0, 0.9))
        return 0
