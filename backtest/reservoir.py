"""A bounded sample of the examples that have matured: the one that ``storage.examples`` would draw from SQL."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from clv.events import parse_time_ms
from clv.sampling import draw_key
from models.batch import MAX_EXAMPLES
from models.schedule import SAMPLE_SEED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from clv.outcomes import TrainingExample


class Reservoir:
    """Keeps the ``limit`` examples whose ids have the smallest draw keys; memory grows no further.

    Examples
    --------
    >>> reservoir = Reservoir([], limit=10)
    >>> reservoir.examples()
    []
    """

    def __init__(self, examples: Iterable[TrainingExample] = (), *, limit: int = MAX_EXAMPLES) -> None:
        self._limit = limit
        self._heap: list[tuple[int, str, int, TrainingExample]] = []
        for example in examples:
            self.add(example)

    def add(self, example: TrainingExample) -> None:
        """Offer an example that has matured; each is offered once."""
        key = -int.from_bytes(draw_key(example.event_id, SAMPLE_SEED))  # a heap gives up its smallest
        entry = (key, example.event_id, parse_time_ms(example.matured_at), example)
        if len(self._heap) < self._limit:
            heapq.heappush(self._heap, entry)
        elif entry[:2] > self._heap[0][:2]:
            heapq.heapreplace(self._heap, entry)

    def examples(self) -> list[TrainingExample]:
        """Return the sample, ordered by maturity, then by event id."""
        entries = sorted(self._heap, key=lambda entry: (entry[2], entry[1]))
        return [example for _, _, _, example in entries]
