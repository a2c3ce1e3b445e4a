"""The spread of a customer's value, against the expectation and against a simulation."""

from __future__ import annotations

import numpy as np
import pytest

from models import bgnbd
from models.bgnbd import BgNbdParams
from models.btyd import BtydParams, Histories
from models.gamma_gamma import GammaGammaParams
from models.predictive import at_least, quantile_minor

PARAMS = BtydParams(BgNbdParams(0.3, 4.0, 0.7, 2.0), GammaGammaParams(6.0, 3.6, 1_500.0), 500, 100)
HISTORIES = Histories(
    np.array([0.0, 1.0, 4.0, 30.0]),
    np.array([0.0, 10.0, 20.0, 38.0]),
    np.array([20.0, 11.0, 40.0, 40.0]),
    np.array([2_000.0, 4_000.0, 3_000.0, 5_000.0]),
    np.array([0.0, 4_000.0, 3_000.0, 5_000.0]),
)


def test_chances_of_purchases_sum_to_the_expected_number() -> None:
    """The tails of a count sum to its mean, which BG/NBD has in a closed form of its own."""
    x, t_x, age = HISTORIES[:3]
    expected = bgnbd.expected_orders(PARAMS.orders, x, t_x, age, 13.0)
    assert at_least(PARAMS, HISTORIES, weeks=13.0, most=400).sum(axis=1) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("level", [0.05, 0.5, 0.9, 0.95])
def test_quantiles_are_those_of_a_simulation(level: float) -> None:
    """Drawing rates, drop-outs and values a hundred thousand times comes to the same."""
    found = quantile_minor(PARAMS, HISTORIES, level, horizon_days=91.0)
    for row, quantile in enumerate(found.tolist()):
        drawn = _draw(row, np.random.default_rng(row))
        assert (drawn < quantile).mean() == pytest.approx(level, abs=0.01) or (
            quantile == 0.0 and (drawn == 0).mean() > level - 0.01
        )


def test_a_row_does_not_depend_on_its_neighbours() -> None:
    """Alone or among many, a customer's quantile is the same to the last bit."""
    many = Histories(*(np.tile(column, 1_000) for column in HISTORIES))
    among = quantile_minor(PARAMS, many, 0.95, horizon_days=90.0)[:4].tolist()
    alone = [
        quantile_minor(PARAMS, Histories(*(c[i : i + 1] for c in HISTORIES)), 0.95, horizon_days=90.0)[0]
        for i in range(4)
    ]
    assert alone == among


def _draw(row: int, rng: np.random.Generator) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    x, t_x, age, _, mean = (float(column[row]) for column in HISTORIES)
    orders, value, count = PARAMS.orders, PARAMS.value, 100_000
    assert value is not None
    alive = bgnbd.probability_alive(orders, *(np.array([one]) for one in (x, t_x, age)))[0]
    rate = rng.gamma(orders.r + x, 1 / (orders.alpha + age), count)
    bought = np.minimum(rng.poisson(rate * 13.0), rng.geometric(rng.beta(orders.a, orders.b + x, count)))
    bought = bought * (rng.random(count) < alive)
    scale = rng.gamma(value.q + value.p * x, 1 / (value.v + mean * x), count)
    return np.where(bought > 0, rng.gamma(np.maximum(value.p * bought, 1e-9)) / scale, 0.0)
