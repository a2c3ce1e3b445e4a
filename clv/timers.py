"""Event-time timers of a partition's customers: an index that costs nothing until a timer is due."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from clv.rules import DAY_MS
from clv.state import NEVER_MS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


class TimerIndex:
    """When which customer is due; entries may be stale, the customer's state has the last word.

    Every change of a customer's due time adds an entry. An entry counts only if it equals the due time that the
    customer has when it is popped, so that stale ones fall out by themselves. Until time comes to a day, only who may
    be due on it is kept, not when: most entries are stale by then, and a name costs a twentieth of a heap's entry.

    Parameters
    ----------
    entries
        Due times, epoch milliseconds, and ids as text or in UTF-8: bytes that are kept elsewhere anyway take no room.

    Examples
    --------
    >>> timers = TimerIndex()
    >>> timers.add(20, "b"); timers.add(10, "a"); timers.add(15, "a")
    >>> list(timers.due(18, {"a": 15, "b": 20}.get))
    [(15, 'a')]
    """

    def __init__(self, entries: Iterable[tuple[int, str | bytes]] = ()) -> None:
        self._days: dict[int, list[str | bytes]] = {}
        self._closed: list[int] = []
        """Days that time has not come to, a heap."""
        self._open_to = -1
        self._near: list[tuple[int, str]] = []
        for due_ms, customer_id in entries:
            self._put(due_ms, customer_id)

    def __len__(self) -> int:
        return len(self._near) + sum(map(len, self._days.values()))

    def add(self, due_ms: int, customer_id: str) -> None:
        """Note that a customer is due."""
        if due_ms // DAY_MS <= self._open_to:
            heapq.heappush(self._near, (due_ms, customer_id))
        else:
            self._put(due_ms, customer_id)

    def next_ms(self) -> int:
        """Return a time before which nobody is due; ``NEVER_MS`` where there is no entry, stale or not."""
        near = self._near[0][0] if self._near else NEVER_MS
        return min(near, self._closed[0] * DAY_MS) if self._closed else near

    def due(self, before_ms: int, due_of: Callable[[str], int | None]) -> Iterator[tuple[int, str]]:
        """Pop what is due before a moment, in order of time and id; the consumer may add entries meanwhile."""
        near = self._near
        while True:
            while self._closed and self._closed[0] * DAY_MS < before_ms:
                self._open(heapq.heappop(self._closed), due_of)
            if not near or near[0][0] >= before_ms:
                return
            due_ms, customer_id = heapq.heappop(near)
            if due_of(customer_id) == due_ms and not (near and near[0] == (due_ms, customer_id)):
                yield due_ms, customer_id

    def _put(self, due_ms: int, customer_id: str | bytes) -> None:
        if due_ms >= NEVER_MS:
            return
        day = due_ms // DAY_MS
        names = self._days.get(day)
        if names is None:
            names = self._days[day] = []
            heapq.heappush(self._closed, day)
        names.append(customer_id)

    def _open(self, day: int, due_of: Callable[[str], int | None]) -> None:
        """Ask everybody of a day when they are due, and keep those who still are on it."""
        self._open_to = max(self._open_to, day)
        for name in {each if isinstance(each, str) else each.decode() for each in self._days.pop(day)}:
            due_ms = due_of(name)
            if due_ms is not None and due_ms // DAY_MS == day:
                heapq.heappush(self._near, (due_ms, name))
