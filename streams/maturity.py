"""Merging of matured examples from all partitions into one order: by maturity, behind the slowest watermark.

Partitions advance at different speeds; learning in the order of arrival would let a fast one teach the future of a
slow one. Pure: offsets and events in, examples and safe offsets out.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from clv.events import parse_time_ms
from clv.outcomes import ExampleTopicEvent, TrainingExample, WatermarkPassed


class _Held(NamedTuple):
    offset: int
    matured_ms: int
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

    def add(self, partition: int, offset: int, event: ExampleTopicEvent) -> None:
        """Take the next event of a partition; an example already released is passed over."""
        self._next[partition] = offset + 1
        if isinstance(event, WatermarkPassed):
            passed = parse_time_ms(event.watermark_at)
            self.watermarks[partition] = max(self.watermarks[partition], passed)
            return
        matured_ms = parse_time_ms(event.matured_at)
        if matured_ms >= self.through_ms:
            self._held[partition].append(_Held(offset, matured_ms, event))

    def slowest_ms(self) -> int:
        """Return the slowest partition's watermark; -1 while one has said nothing."""
        return min(self.watermarks.values())

    def release(self) -> list[TrainingExample]:
        """Return, in order of maturity, all examples that matured before the slowest watermark, each once."""
        until = self.slowest_ms()
        if until <= self.through_ms:
            return []
        ready: dict[tuple[int, str, str, str], TrainingExample] = {}
        for held in self._held.values():
            while held and held[0].matured_ms < until:
                _, matured_ms, example = held.popleft()
                # A worker that crashed may give an example out again, scored by another model: the first counts.
                ready.setdefault((matured_ms, example.customer_id, example.as_of, example.moment), example)
        self.through_ms = until
        return [ready[key] for key in sorted(ready)]

    def offsets(self) -> dict[int, int]:
        """Return from where each partition has to be read again after a restart."""
        return {p: self._held[p][0].offset if self._held[p] else self._next.get(p, 0) for p in self._held}
