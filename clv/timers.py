"""Event-time timers of a partition's customers: an index that costs nothing until a timer is due."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from clv.state import NEVER_MS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class TimerIndex:
    """When which customer is due; entries may be stale, the customer's state has the last word.

    Every change of a customer's due time adds an entry. An entry counts only if it equals the due time that the
    customer has when it is popped, so that stale ones fall out by themselves.

    Examples
    --------
    >>> timers = TimerIndex()
    >>> timers.add(20, "b"); timers.add(10, "a"); timers.add(15, "a")
    >>> list(timers.due(18, {"a": 15, "b": 20}.get))
    [(15, 'a')]
    """

    def __init__(self, entries: Iterable[tuple[int, str]] = ()) -> None:
        self._heap = list(entries)
        heapq.heapify(self._heap)

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, due_ms: int, customer_id: str) -> None:
        """Note that a customer is due."""
        if due_ms < NEVER_MS:
            heapq.heappush(self._heap, (due_ms, customer_id))

    def next_ms(self) -> int:
        """Return when the first entry lies, stale or not; ``NEVER_MS`` where there is none."""
        return self._heap[0][0] if self._heap else NEVER_MS

    def due(self, before_ms: int, due_of: Callable[[str], int | None]) -> Iterable[tuple[int, str]]:
        """Pop what is due before a moment, in order of time and id; the consumer may add entries meanwhile."""
        while self._heap and self._heap[0][0] < before_ms:
            due_ms, customer_id = heapq.heappop(self._heap)
            if due_of(customer_id) == due_ms and not (self._heap and self._heap[0] == (due_ms, customer_id)):
                yield due_ms, customer_id

    def compact(self, due_of: Callable[[str], int | None]) -> None:
        """Drop stale entries."""
        self._heap = sorted({entry for entry in self._heap if due_of(entry[1]) == entry[0]})
