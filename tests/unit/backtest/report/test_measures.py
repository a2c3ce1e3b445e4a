"""Metrics against small cases worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from backtest.report.measures import paired_difference
from models.measures import gain, metrics, normalised_gini, spearman


def test_plain_errors() -> None:
    """Three moments: values 0, 4 and 9, predictions 1, 4 and 4."""
    found = metrics(np.array([0.0, 4.0, 9.0]), np.array([1.0, 4.0, 4.0]))
    assert (found["n"], found["max_predicted"]) == (3, 4.0)
    assert found["mean_actual"] == pytest.approx(13 / 3)
    # 4 (√p − √y)² / √p: 4 × 1 / 1, 0, 4 × 1 / 2.
    assert found["deviance"] == pytest.approx((4 + 0 + 2) / 3)
    assert found["mae"] == pytest.approx((1 + 0 + 5) / 3)
    assert found["rmse"] == pytest.approx(math.sqrt((1 + 0 + 25) / 3))
    assert found["r2"] == pytest.approx(1 - 26 / (97 - 169 / 3))
    assert found["ratio"] == pytest.approx(9 / 13)


def test_a_prediction_of_nothing_counts_as_a_thousandth_of_the_mean() -> None:
    """Zero would have an infinite deviance once something came."""
    actual = np.array([0.0, 20.0])
    root = math.sqrt(10 / 1000)
    expected = (4 * root + 4 * (root - math.sqrt(20)) ** 2 / root) / 2
    assert metrics(actual, np.zeros(2))["deviance"] == pytest.approx(expected)


def test_gini_by_hand() -> None:
    """Best order gives 1, the reverse −1 of what is possible; a swap in between costs its share."""
    actual = np.array([1.0, 2.0, 3.0])
    # Cumulative shares, best first: 3/6, 5/6, 1: area 2 × (14/6) / 3 − 1 = 5/9; with 2 and 3 swapped: 2/6, 5/6, 1.
    assert normalised_gini(actual, actual) == 1.0
    assert normalised_gini(actual, np.array([1.0, 3.0, 2.0])) == pytest.approx((2 * (13 / 6) / 3 - 1) / (5 / 9))


def test_ties_share_their_mean() -> None:
    """Predictions that are all alike rank nothing, in whatever order the rows stand."""
    actual = np.array([6.0, 0.0, 0.0])
    shares = gain(actual, np.ones(3))
    np.testing.assert_allclose(shares, [1 / 3, 2 / 3, 1])
    tied = [normalised_gini(actual[order], np.array([2.0, 2.0, 1.0])[order]) for order in ([0, 1, 2], [1, 2, 0])]
    # Shares 1/2, 1, 1 against 1, 1, 1.
    assert tied == pytest.approx([(2 * 2.5 / 3 - 1) / (2 * 3 / 3 - 1)] * 2)


def test_spearman_averages_ties() -> None:
    """Ranks 1, 2.5, 2.5 against 1, 2, 3, by Pearson's formula."""
    # Centred: (−1, .5, .5) and (−1, 0, 1): 1.5 / √(1.5 × 2).
    assert spearman(np.array([0.0, 7.0, 7.0]), np.array([1.0, 2.0, 3.0])) == pytest.approx(1.5 / math.sqrt(3))


def test_deciles() -> None:
    """Twenty moments in two exact halves: each tenth is off by as much as it was made to be."""
    predicted = np.arange(20.0, 0.0, -1.0)
    actual = predicted.copy()
    actual[:2] = [40.0, 38.0]  # the top tenth came in twice as high
    found = metrics(actual, predicted)
    assert found["decile_mape"] == pytest.approx(0.5 / 10)
    assert found["top_decile_share"] == pytest.approx(78 / (78 + 171))


def test_nothing_came() -> None:
    """Where every label is zero, what divides by them is not defined; errors are."""
    found = metrics(np.zeros(12), np.linspace(1, 2, 12))
    undefined = ("r2", "gini", "spearman", "ratio", "decile_mape", "top_decile_share")
    assert [found[name] for name in undefined] == [None] * 6  # type: ignore[literal-required]
    assert found["mae"] == pytest.approx(1.5)
    assert math.isfinite(found["deviance"])


def test_a_single_moment() -> None:
    """One moment has no spread and no tenths."""
    found = metrics(np.array([5.0]), np.array([4.0]))
    assert (found["n"], found["r2"], found["spearman"], found["decile_mape"]) == (1, None, None, None)
    assert (found["gini"], found["ratio"]) == (1.0, 0.8)


def test_difference_is_on_moments_that_both_answered() -> None:
    """A model's silence is nobody's error."""
    nan = math.nan
    found = paired_difference(
        np.array([1, 1, 2]), np.array([4.0, 4.0, 9.0]), np.array([1.0, 9.0, 4.0]), np.array([4.0, nan, 9.0])
    )
    assert found is not None
    assert (found["n"], found["customers"]) == (2, 2)
    assert found["difference"] == pytest.approx((4 * 1 / 1 + 4 * 1 / 2) / 2)
    assert paired_difference(np.array([1]), np.array([1.0]), np.array([1.0]), np.array([nan])) is None


def test_difference_resamples_customers() -> None:
    """With one customer nothing can vary, however many moments; with many the interval lies about the difference."""
    rng = np.random.default_rng(3)
    actual = rng.exponential(20.0, 400)
    ours, other = actual * 1.1 + 1, actual * 1.5 + rng.exponential(9.0, 400)
    alone = paired_difference(np.zeros(400, dtype=np.int64), actual, ours, other)
    many = paired_difference(np.arange(400) // 4, actual, ours, other)
    assert alone is not None
    assert many is not None
    assert alone["ci95"] == pytest.approx((alone["difference"],) * 2)
    assert many["ci95"][0] < many["difference"] < many["ci95"][1] < 0.0
    assert many == paired_difference(np.arange(400) // 4, actual, ours, other)
