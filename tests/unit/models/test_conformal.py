"""Intervals from residuals: coverage, defaults, bounds."""

from __future__ import annotations

import numpy as np
import pytest

from models.conformal import PRIOR_FACTORS, IntervalFactors, Residuals


def observed(count: int, predicted: float, seed: int = 0) -> Residuals:
    """Return residuals of gamma-distributed values around a constant prediction."""
    residuals = Residuals()
    for ratio in np.random.default_rng(seed).gamma(2.0, 0.5, count).tolist():
        residuals.update(predicted * ratio, predicted)
    return residuals


def test_fresh_values_fall_inside_nine_times_in_ten() -> None:
    """Bounds learnt from 4,000 residuals cover nine tenths of new values, a little more for the grid's width."""
    lower, upper = observed(4_000, 5_000.0).factors().bounds(np.full(1, 5_000.0))
    fresh = 5_000.0 * np.random.default_rng(9).gamma(2.0, 0.5, 20_000)
    assert 0.89 < ((fresh >= lower) & (fresh <= upper)).mean() < 0.95


def test_where_half_never_return_all_misses_lie_above() -> None:
    """With a lower bound of zero nothing can fall below it: the upper bound alone leaves a tenth outside."""
    residuals, ratios = Residuals(), np.random.default_rng(3).gamma(2.0, 1.0, 30_000)
    ratios[::2] = 0.0
    for ratio in ratios[:4_000].tolist():
        residuals.update(5_000.0 * ratio, 5_000.0)
    _, upper = residuals.factors().bounds(np.full(1, 5_000.0))
    assert 0.89 < (5_000.0 * ratios[4_000:] <= upper).mean() < 0.935


def test_without_residuals_the_interval_is_the_priors() -> None:
    """Too few residuals everywhere leave the wide interval of the prior."""
    assert observed(99, 500.0).factors() == IntervalFactors()
    assert IntervalFactors().bounds(np.array([100.0]))[1].tolist() == [100.0 * PRIOR_FACTORS[1]]


def test_a_bin_without_residuals_borrows_from_its_neighbours() -> None:
    """A prediction ten times those seen gets the nearest bin's factors."""
    factors = observed(500, 5_000.0).factors()
    lower, upper = factors.bounds(np.array([5_000.0, 50_000.0]))
    assert upper[1] / 50_000.0 == pytest.approx(upper[0] / 5_000.0)
    assert lower[1] / 50_000.0 == pytest.approx(lower[0] / 5_000.0)


def test_the_prediction_lies_between_its_bounds() -> None:
    """Where almost nobody returns, both quantiles are zero; the bounds still hold the prediction."""
    residuals = Residuals()
    for _ in range(300):
        residuals.update(0.0, 40.0)
    lower, upper = residuals.factors().bounds(np.array([40.0]))
    assert (lower.tolist(), upper.tolist()) == ([0.0], [40.0])


@pytest.mark.parametrize("predicted", [0.0, 1e-3, 1e14])
def test_extremes_stay_finite(predicted: float) -> None:
    """Absurd residuals neither fail nor make a bound infinite."""
    residuals = Residuals()
    for actual in (0.0, 1.0, 1e14) * 100:
        residuals.update(actual, predicted)
    lower, upper = residuals.factors().bounds(np.array([0.0, 1e14]))
    assert np.isfinite(lower).all()
    assert np.isfinite(upper).all()


def test_memory_is_bounded_and_the_old_fades() -> None:
    """After many residuals a bin holds at most eight thousand, and follows what came last."""
    residuals = observed(8_000, 5_000.0)
    for _ in range(60_000):
        residuals.update(5_000.0, 5_000.0)
    (cells,) = residuals.cells.values()
    assert sum(cells) <= 8_000
    assert residuals.factors().bounds(np.array([5_000.0]))[1][0] < 6_500.0
