"""What attributes add to a regression: what is certain, beside one another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from models import attributes
from models.residual import Fitted

if TYPE_CHECKING:
    from clv.ports import Floats


def drawn(customers: int, log_factor: Floats, seed: int = 0) -> Fitted:
    """Return a row a customer where 1 is expected and ``exp(log_factor)`` comes, with noise."""
    ratio = np.exp(log_factor) * np.random.default_rng(seed).gamma(1.0, 1.0, customers)
    return Fitted(np.ones(customers), ratio, np.ones(customers), np.arange(customers))


def inputs(customers: int, seed: int = 1) -> Floats:
    """Return two standardised inputs that go together, and one that never varies."""
    one, other = np.random.default_rng(seed).standard_normal((2, customers))
    return np.stack([one, 0.6 * one + 0.8 * other, np.zeros(customers)])


def test_each_counts_beside_the_others() -> None:
    """Of two inputs that go together, the one that brings something gets it all, and the other next to nothing."""
    rows = inputs(8_000)
    found = attributes.learn(rows, {}, np.ones(8_000), drawn(8_000, 0.4 * rows[0] - 0.08))
    assert found.weights[0] == pytest.approx(0.4, abs=0.05)
    assert abs(found.weights[1]) < 0.05
    assert found.weights[2] == 0.0


def test_an_input_and_a_name_share_what_they_both_say() -> None:
    """A name's effect and an input's weight are each found where both are at work."""
    rows, codes = inputs(8_000), np.where(np.arange(8_000) % 2, 7.0, 9.0)
    fitted = drawn(8_000, 0.3 * rows[0] + np.where(codes == 7.0, 0.25, -0.25))
    found = attributes.learn(rows, {"source_code": codes}, np.ones(8_000), fitted)
    assert found.weights[0] == pytest.approx(0.3, abs=0.05)
    assert found.tables["source_code"]["7"] - found.tables["source_code"]["9"] == pytest.approx(0.5, abs=0.1)


def test_names_that_go_together_are_told_apart() -> None:
    """Campaigns that bring nothing, but mostly come with one source, are not taken for it."""
    number, chance = np.arange(20_000), np.random.default_rng(3).random(20_000)
    source = np.where(number % 2, 7.0, 9.0)
    campaign = np.where((chance < 0.75) == (source == 7.0), 21.0, 22.0)
    fitted = drawn(20_000, np.where(source == 7.0, 0.3, -0.3))
    codes = {"source_code": source, "campaign_code": campaign}
    found = attributes.learn(np.zeros((1, 20_000)), codes, np.ones(20_000), fitted)
    apart = {name: max(table.values()) - min(table.values()) for name, table in found.tables.items()}
    assert apart["source_code"] == pytest.approx(0.6, abs=0.08)
    assert apart["campaign_code"] < 0.05


@pytest.mark.parametrize("customers", [60, 600])
def test_chance_has_no_weight(customers: int) -> None:
    """Of inputs that bring nothing, nine in ten get exactly none."""
    weights = np.array(
        [
            attributes.learn(
                inputs(customers, seed + 100), {}, np.ones(customers), drawn(customers, np.zeros(customers), seed)
            ).weights[:2]
            for seed in range(50)
        ]
    )
    assert (weights == 0.0).mean() >= 0.9


def test_what_is_certain_counts_almost_whole() -> None:
    """The same effect counts for more with more customers, up to all of it."""
    found = []
    for customers in (300, 20_000):
        rows = inputs(customers)
        found.append(attributes.learn(rows, {}, np.ones(customers), drawn(customers, 0.25 * rows[0])).weights[0])
    assert 0.0 <= found[0] < found[1] == pytest.approx(0.25, abs=0.03)


def test_it_is_deterministic_and_leaves_its_input_alone() -> None:
    """Twice the same, and the caller's arrays as they were."""
    rows = inputs(300)
    codes, fitted = {"source_code": np.resize([7.0, 8.0], 300)}, drawn(300, rows[0])
    before = [column.copy() for column in (rows, codes["source_code"], *fitted)]
    first, second = (attributes.learn(rows, codes, np.ones(300), fitted) for _ in range(2))
    assert first.weights.tolist() == second.weights.tolist()
    assert first.tables == second.tables
    after = (rows, codes["source_code"], *fitted)
    assert [column.tolist() for column in after] == [column.tolist() for column in before]
