"""The sample of examples that refits are made from."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from backtest.reservoir import Reservoir
from clv.sampling import draw_key
from tests.contract.storage.outputs import example

if TYPE_CHECKING:
    from clv.outcomes import TrainingExample

EXAMPLES = [
    example(f"x{n}", f"c{n % 7}", matured_at=f"1997-04-{1 + n % 28:02d}T00:00:00Z", value_minor=n) for n in range(200)
]


def drawn(limit: int) -> list[TrainingExample]:
    """Return the examples with the smallest keys of all, in order of maturity and id."""
    chosen = sorted(EXAMPLES, key=lambda one: draw_key(one.event_id, 0))[:limit]
    return sorted(chosen, key=lambda one: (one.matured_at, one.event_id))


@pytest.mark.parametrize("limit", [1, 50, 200, 500])
def test_a_sample_taken_on_the_way_is_the_one_taken_at_the_end(limit: int) -> None:
    """Whatever the order in which they come, those with the smallest keys stay."""
    reservoir = Reservoir(limit=limit)
    for one in random.Random(1).sample(EXAMPLES, len(EXAMPLES)):
        reservoir.add(one)
    assert reservoir.examples() == drawn(limit)


def test_a_reservoir_goes_on_from_its_examples() -> None:
    """Filled again with what it held, it draws on as before."""
    half = Reservoir(limit=50)
    for one in EXAMPLES[:100]:
        half.add(one)
    again = Reservoir(half.examples(), limit=50)
    for one in EXAMPLES[100:]:
        again.add(one)
    assert again.examples() == drawn(50)
