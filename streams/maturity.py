"""Merging of matured examples from all partitions into one order: by maturity, behind the slowest watermark.

Partitions advance at different speeds; learning in the order of arrival would let a fast one teach the future of a
slow one. Pure: offsets and events in, examples and safe offsets out.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from clv.events import parse_time_ms
from clv.outcomes import ExampleTopicEvent, TrainingExample, WatermarkPassed
from models.maturity import Place, place_of


class _Held(NamedTuple):
    place: Place
    offset: int
    example: TrainingExample


class MaturityMerge:
    """Holds back what has matured until every partition's time has passed it.

    Parameters
    ----------
    watermarks
        Each partition's watermark so far, epoch milliseconds; -1 where nothing is known yet.
    offsets
        Next offset to read of each partition.
    through_ms
        Everything that matured before it has been released.
    """

    def __init__(self, watermarks: dict[int, int], offsets: dict[int, int], through_ms: int) -> None:
        self.watermarks = dict(watermarks)
        self.through_ms = through_ms
        self._next = dict(offsets)
        self._held: dict[int, deque[_Held]] = {partition: deque() for partition in watermarks}
        self._places: set[Place] = set()

    def add(self, partition: int, offset: int, event: ExampleTopicEvent) -> None:
        """Take the next event of a partition; an example already released or held is passed over.

        Raises
        ------
        EventError
            When the event's time cannot be read; its offset counts as read.
        """
        self._next[partition] = offset + 1
        if isinstance(event, WatermarkPassed):
            passed = parse_time_ms(event.watermark_at)
            self.watermarks[partition] = max(self.watermarks[partition], passed)
            return
        place = place_of(event)
        # A worker that crashed may give an example out again, scored by another model: the first counts.
        if place.matured_ms < self.through_ms or place in self._places:
            return
        self._places.add(place)
        held = self._held[partition]
        position = len(held)
        while position and held[position - 1].place > place:
            position -= 1
        # Offsets ascend too: one that comes out of order is read again together with those that it precedes.
        restart = held[position].offset if position < len(held) else offset
        held.insert(position, _Held(place, restart, event))

    def slowest_ms(self) -> int:
        """Return the slowest partition's watermark; -1 while one has said nothing."""
        return min(self.watermarks.values())

    def release(self) -> list[TrainingExample]:
        """Return, in order of maturity, all examples that matured before the slowest watermark, each once."""
        until = self.slowest_ms()
        if until <= self.through_ms:
            return []
        ready: list[_Held] = []
        for held in self._held.values():
            while held and held[0].place.matured_ms < until:
                ready.append(held.popleft())
        self.through_ms = until
        self._places.difference_update(one.place for one in ready)
        return [one.example for one in sorted(ready, key=lambda one: one.place)]

    def offsets(self) -> dict[int, int]:
        """Return from where each partition has to be read again after a restart."""
        return {p: held[0].offset if held else self._next.get(p, 0) for p, held in self._held.items()}

    def safe_watermarks(self) -> dict[int, int]:
        """Return the watermarks to restart with: none beyond an example that ``offsets`` say has to be read again."""
        return {
            p: min(self.watermarks[p], held[0].place.matured_ms) if held else self.watermarks[p]
            for p, held in self._held.items()
        }
