"""BG/NBD against the literature, a quadrature, and absurd input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import roots_jacobi

from models import bgnbd, btyd, gamma_gamma
from models.bgnbd import TYPICAL, BgNbdParams

CDNOW = Path(__file__).parents[3] / "data" / "cdnow_orders.csv.gz"


def cdnow_histories(until: str) -> btyd.Histories:
    """Customer-day histories of CDNOW observed to the end of a day; values in cents."""
    orders = pd.read_csv(CDNOW, dtype={"customer_id": str}, parse_dates=["date"])
    end = pd.Timestamp(until)
    known = orders[(orders["date"] <= end) & (orders["amount"] > 0)]
    days = known.groupby(["customer_id", "date"], as_index=False)["amount"].sum()
    grouped = days.groupby("customer_id")
    first, last = grouped["date"].min(), grouped["date"].max()
    count = grouped["amount"].count().to_numpy(dtype=np.float64)
    total, first_value = grouped["amount"].sum().to_numpy() * 100, grouped["amount"].first().to_numpy() * 100
    return btyd.histories_from_days(
        count - 1,
        (last - first).dt.days.to_numpy(dtype=float),
        (end - first).dt.days.to_numpy(dtype=float),
        mean_minor=total / count,
        mean_repeat_minor=np.where(count > 1, (total - first_value) / np.maximum(count - 1, 1), 0.0),
    )


def test_fit_matches_the_published_cdnow_parameters() -> None:
    """CDNOW's calibration period gives the parameters of the reference implementation, in weeks."""
    histories = cdnow_histories("1997-09-30")
    fitted = bgnbd.fit(histories.x, histories.t_x, histories.age)
    assert pytest.approx((0.2527, 4.7975, 0.7226, 2.1583), rel=1e-3) == (fitted.r, fitted.alpha, fitted.a, fitted.b)


def test_gamma_gamma_matches_the_published_cdnow_parameters() -> None:
    """CDNOW's repeat purchases give the reference's p, q and v (15.00 dollars in cents)."""
    histories = cdnow_histories("1997-09-30")
    fitted = gamma_gamma.fit(histories.x, histories.mean_repeat_minor, mean_minor=histories.mean_minor)
    assert pytest.approx((6.271, 3.626, 1_500.0), rel=2e-3) == (fitted.p, fitted.q, fitted.v)


def test_counts_stand_for_repeated_rows() -> None:
    """A row that counts for three customers fits as three rows do."""
    x, t_x, age = np.array([0.0, 1.0, 4.0]), np.array([0.0, 3.0, 20.0]), np.array([10.0, 12.0, 25.0])
    counts = np.array([30.0, 20.0, 10.0])
    repeated = [np.repeat(column, counts.astype(int)) for column in (x, t_x, age)]
    assert bgnbd.fit(*repeated) == bgnbd.fit(x, t_x, age, counts)


@pytest.mark.parametrize("repeats", [0.0, 1.0, 7.0, 400.0])
@pytest.mark.parametrize("drop_out", [0.05, 0.8, 1.0, 3.0])
def test_expected_orders_equals_its_integral(repeats: float, drop_out: float) -> None:
    """The closed form equals the integral over drop-out shares that it stands for, at the singular a = 1 too."""
    params = BgNbdParams(0.3, 5.0, drop_out, 2.0)
    x, t_x, age = np.array([repeats]), np.array([min(repeats, 1.0) * 20.0]), np.array([30.0])
    nodes, weights = roots_jacobi(100, params.b + repeats - 1.0, params.a - 1.0)
    share = (nodes + 1.0) / 2.0
    each = -np.expm1(-(params.r + repeats) * np.log1p(share * 12.0 / (params.alpha + 30.0))) / share
    expected = float((weights * each).sum() / weights.sum()) * bgnbd.probability_alive(params, x, t_x, age)[0]
    assert pytest.approx(expected, rel=1e-4) == bgnbd.expected_orders(params, x, t_x, age, 12.0)[0]


def test_median_wait_is_where_a_purchase_is_as_likely_as_not() -> None:
    """At the median wait, P(alive) times the Lomax distribution function is one half."""
    params = BgNbdParams(1.5, 6.0, 0.4, 3.0)
    x, t_x, age = np.array([8.0]), np.array([48.0]), np.array([50.0])
    wait = bgnbd.median_wait(params, x, t_x, age)[0]
    alive = bgnbd.probability_alive(params, x, t_x, age)[0]
    assert pytest.approx(0.5) == alive * (1.0 - (56.0 / (56.0 + wait)) ** 9.5)


def test_who_is_probably_gone_has_no_next_order() -> None:
    """Twenty purchases in ten weeks and then a year of silence: no order is expected at all."""
    wait = bgnbd.median_wait(TYPICAL, np.array([20.0]), np.array([10.0]), np.array([62.0]))
    assert [np.inf] == wait.tolist()


def test_fit_without_customers_is_typical() -> None:
    """No data at all gives the typical parameters, not an error."""
    assert bgnbd.fit(np.array([]), np.array([]), np.array([])) == TYPICAL


@pytest.mark.parametrize("size", [1, 5])
def test_fit_to_a_handful_stays_near_typical(size: int) -> None:
    """A few one-time buyers do not push the parameters to their bounds."""
    fitted = bgnbd.fit(np.zeros(size), np.zeros(size), np.full(size, 30.0))
    assert 0.02 < fitted.r < 2.0
    assert 1.0 < fitted.alpha < 200.0


def test_gamma_gamma_without_repeats_is_the_mean() -> None:
    """Where nobody bought twice, the population's value is the mean of first purchases."""
    fitted = gamma_gamma.fit(np.zeros(4), np.zeros(4), mean_minor=np.array([100.0, 300.0, 0.0, 200.0]))
    assert fitted.population_value_minor == 200.0
