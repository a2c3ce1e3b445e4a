"""The base: value, year factor, histories."""

from __future__ import annotations

import numpy as np
import pytest

from clv.features import FEATURE_INDEX
from models import btyd
from models.bgnbd import TYPICAL
from models.btyd import BtydParams
from models.gamma_gamma import GammaGammaParams
from models.prior import PRIOR, naive_minor
from tests.unit.models.histories import absurd_rows, feature_rows

PARAMS = BtydParams(TYPICAL, GammaGammaParams(6.0, 4.0, 1_500.0), 500, 100)


def test_value_without_a_repeat_is_orders_times_the_mean_of_population_and_own_value() -> None:
    """A one-time buyer is worth expected orders times the mean of 3,000 (population) and their own 5,000."""
    histories = btyd.Histories(np.zeros(1), np.zeros(1), np.full(1, 4.0), np.full(1, 5_000.0), np.zeros(1))
    one = btyd.answer(PARAMS, histories, horizon_days=90).value_minor[0]
    typical = btyd.answer(PARAMS, histories._replace(mean_minor=np.full(1, 3_000.0)), horizon_days=90).value_minor[0]
    assert pytest.approx(typical / 3_000.0 * 4_000.0) == one


def test_a_year_holds_more_than_the_horizon_and_less_than_the_straight_line() -> None:
    """The survival curve lets a year's value be between one and 365/90 horizons."""
    factor = btyd.answer(PARAMS, btyd.histories_of(feature_rows(300)), horizon_days=90).year_factor
    assert (factor > 1.0).all()
    assert (factor < 365 / 90).all()


@pytest.mark.parametrize("params", [PARAMS, PRIOR], ids=["fitted", "prior"])
def test_absurd_histories_get_bounded_answers(params: BtydParams) -> None:
    """A billion at once, 100,000 orders, gaps of years: finite, non-negative, bounded."""
    answer = btyd.answer(params, btyd.histories_of(absurd_rows()), horizon_days=90)
    assert ((answer.value_minor > 0) & (answer.value_minor <= btyd.MAX_PREDICTION_MINOR)).all()
    assert np.isfinite(answer.year_factor).all()
    assert ((answer.alive >= 0) & (answer.alive <= 1)).all()
    assert (answer.wait_weeks >= 0).all()


def test_silence_lowers_the_value() -> None:
    """The same purchases are worth less the longer ago they were."""
    ages = np.array([20.0, 30.0, 60.0, 120.0])
    same = [np.full(4, value) for value in (5.0, 20.0)]
    histories = btyd.Histories(same[0], same[1], ages, np.full(4, 4_000.0), np.full(4, 4_000.0))
    assert (np.diff(btyd.answer(PARAMS, histories, horizon_days=90).value_minor) < 0).all()


def test_fit_counts_customers_who_bought() -> None:
    """Customers without a purchase of positive value are not customers of the fit."""
    rows = feature_rows(400)
    rows[:50, FEATURE_INDEX["mean_purchase_value_minor"]] = 0.0
    fitted = btyd.fit(btyd.histories_of(rows))
    assert fitted.customer_count == 350
    assert fitted.repeat_customer_count == int((rows[50:, FEATURE_INDEX["repeat_purchase_count"]] > 0).sum())


def test_latest_histories_take_each_customers_last_row() -> None:
    """Of several examples of a customer only the latest counts, in whatever order they come."""
    rows = feature_rows(3)
    latest = btyd.latest_histories(rows, ["a", "b", "a"], np.array([20, 10, 10], dtype=np.int64))
    assert latest.age.tolist() == btyd.histories_of(rows[:2]).age.tolist()


def test_naive_rate_counts_at_least_a_horizon_of_age() -> None:
    """A first order a moment ago is one order in a horizon; two in 180 days are one in 90."""
    rows = feature_rows(2)
    for name, values in {"revenue_minor": (700, 1_400), "customer_age_days": (0, 180)}.items():
        rows[:, FEATURE_INDEX[name]] = values
    assert naive_minor(rows, horizon_days=90).tolist() == [700.0, 700.0]


def test_naive_goes_on_at_what_was_kept() -> None:
    """What was given back does not count; nor does giving back more than all."""
    rows = feature_rows(3)
    rows[:, FEATURE_INDEX["revenue_minor"]], rows[:, FEATURE_INDEX["customer_age_days"]] = 700, 0
    rows[:, FEATURE_INDEX["return_rate"]] = [0.25, 1.0, 7.0]
    assert naive_minor(rows, horizon_days=90).tolist() == [525.0, btyd.MIN_PREDICTION_MINOR, btyd.MIN_PREDICTION_MINOR]


def test_naive_counts_orders_of_one_day_once() -> None:
    """Ten orders on one purchase day are worth what they brought together, not ten times that."""
    rows = feature_rows(1)
    for name, value in {"order_count": 10, "revenue_minor": 700, "mean_purchase_value_minor": 700}.items():
        rows[:, FEATURE_INDEX[name]] = value
    rows[:, FEATURE_INDEX["customer_age_days"]] = 0
    assert naive_minor(rows, horizon_days=90).tolist() == [700.0]
