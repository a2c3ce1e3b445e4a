"""The order in which examples are learned: by maturity, whatever partition or file they come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from clv.events import parse_time_ms

if TYPE_CHECKING:
    from collections.abc import Iterable

    from clv.outcomes import TrainingExample


class Place(NamedTuple):
    """An example's place in the order of learning; two examples of one place are the same label, given out twice."""

    matured_ms: int
    customer_id: str
    as_of: str
    moment: str


def place_of(example: TrainingExample) -> Place:
    """Return where an example stands in the order of learning.

    Raises
    ------
    EventError
        When its moment of maturity cannot be read.
    """
    return Place(parse_time_ms(example.matured_at), example.customer_id, example.as_of, example.moment)


def in_order(*sources: Iterable[TrainingExample]) -> list[TrainingExample]:
    """Return the examples of all sources in the order of learning, each place once: the first source counts."""
    found: dict[Place, TrainingExample] = {}
    for source in sources:
        for example in source:
            found.setdefault(place_of(example), example)
    return [found[place] for place in sorted(found)]
