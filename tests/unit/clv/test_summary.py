"""A customer's aggregated figures: what is taken, and what is refused, field by field."""

from __future__ import annotations

import contextlib
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clv.errors import InvalidSummary
from clv.summary import UNKNOWN, CustomerSummary, check_summary

GOOD: dict[str, object] = {
    "total_orders": 8,
    "total_spent": 1784.5,
    "avg_order_value": 223.06,
    "days_since_first_purchase": 400,
    "days_since_last_purchase": 12.5,
    "num_categories": 3,
    "acquisition_source": "search",
    "campaign_type": "brand",
    "acquisition_cost": "12.50",
    "email_engagement_rate": 0.4,
    "return_rate": 0,
}


def test_figures_are_read_exactly() -> None:
    """Money becomes minor units, days and rates stay what they are."""
    expected = CustomerSummary(
        order_count=8,
        spent_minor=178_450,
        first_purchase_days=400.0,
        last_purchase_days=12.5,
        category_count=3,
        acquisition_source="search",
        campaign_type="brand",
        acquisition_cost_minor=1_250,
        engagement_rate=0.4,
        return_rate=0.0,
    )
    assert expected == check_summary(GOOD, digits=2)


def test_what_is_optional_may_be_absent_or_none() -> None:
    """Four figures are enough; the others are unknown then, not zero."""
    needed = dict(list(GOOD.items())[:5])
    del needed["avg_order_value"]
    summary = check_summary(needed, digits=2)
    assert (summary.category_count, summary.engagement_rate, summary.return_rate) == (UNKNOWN, UNKNOWN, UNKNOWN)
    assert summary == check_summary(needed | dict.fromkeys(set(GOOD) - set(needed)), digits=2)


@pytest.mark.parametrize(
    ("change", "field", "why"),
    [
        pytest.param(
            {"avg_order_value": 100}, "avg_order_value", "total_spent 1784.50 over total_orders 8", id="average"
        ),
        pytest.param({"avg_order_value": 223.13}, "avg_order_value", "is 223.06", id="average-off-by-cents"),
        pytest.param(
            {"days_since_last_purchase": 401}, "days_since_last_purchase", "before the first", id="last-first"
        ),
        pytest.param(
            {"total_orders": 1, "avg_order_value": 1784.5}, "days_since_last_purchase", "the only order", id="one-order"
        ),
        pytest.param({"total_orders": 0}, "total_orders", "below 1", id="no-orders"),
        pytest.param({"total_orders": 2.5}, "total_orders", "not a whole number", id="half-an-order"),
        pytest.param({"total_orders": True}, "total_orders", "not a finite number", id="boolean"),
        pytest.param({"total_orders": 10**9}, "total_orders", "above 100000", id="too-many-orders"),
        pytest.param({"total_spent": None}, "total_spent", "is missing", id="missing"),
        pytest.param({"total_spent": float("nan")}, "total_spent", "not a finite number", id="nan"),
        pytest.param({"total_spent": float("inf")}, "total_spent", "not a finite number", id="infinite"),
        pytest.param({"total_spent": "1e99999999"}, "total_spent", "not a finite number", id="huge-exponent"),
        pytest.param({"total_spent": "1_000"}, "total_spent", "not a finite number", id="underscore"),
        pytest.param({"total_spent": 10**500}, "total_spent", "not a finite number", id="huge"),
        pytest.param({"total_spent": -0.01}, "total_spent", "is negative", id="negative"),
        pytest.param({"total_spent": 1e13}, "total_spent", "is above", id="absurd"),
        pytest.param({"return_rate": 1.01}, "return_rate", "between 0 and 1", id="rate-above-one"),
        pytest.param({"email_engagement_rate": -0.1}, "email_engagement_rate", "is negative", id="negative-rate"),
        pytest.param({"num_categories": -1}, "num_categories", "is negative", id="negative-categories"),
        pytest.param({"acquisition_cost": "-3"}, "acquisition_cost", "is negative", id="negative-cost"),
        pytest.param({"acquisition_source": 7}, "acquisition_source", "not a text", id="no-text"),
        pytest.param({"campaign_type": "x" * 257}, "campaign_type", "at most 256", id="long-text"),
        pytest.param({"days_since_first_purchase": "soon"}, "days_since_first_purchase", "not a finite", id="no-days"),
    ],
)
def test_what_is_impossible_is_refused_by_name(change: dict[str, object], field: str, why: str) -> None:
    """The error names the field that is wrong, and only it, and says why."""
    with pytest.raises(InvalidSummary) as caught:
        check_summary(GOOD | change, digits=2)
    assert [name for name, _ in caught.value.problems] == [field]
    assert why in caught.value.problems[0][1]
    assert field in str(caught.value)


def test_all_problems_come_at_once() -> None:
    """Whoever corrects the input sees every field that is wrong."""
    with pytest.raises(InvalidSummary) as caught:
        check_summary(GOOD | {"total_orders": -1, "return_rate": 2, "num_categories": "x"}, digits=2)
    assert {name for name, _ in caught.value.problems} == {"total_orders", "return_rate", "num_categories"}


@given(orders=st.integers(1, 100_000), spent_minor=st.integers(0, 10**13), digits=st.sampled_from([0, 2, 3]))
def test_an_average_passes_rounded_or_not(orders: int, spent_minor: int, digits: int) -> None:
    """Rounded to minor units, or as the floating-point quotient: both are the average of the same orders."""
    spent = Decimal(spent_minor).scaleb(-digits)
    rounded = (spent / orders).quantize(Decimal(1).scaleb(-digits))
    fields = {"total_orders": orders, "total_spent": spent, "days_since_first_purchase": 5}
    for average in (rounded, float(spent) / orders):
        given_fields = fields | {"avg_order_value": average, "days_since_last_purchase": 5}
        assert check_summary(given_fields, digits=digits).spent_minor == spent_minor


@pytest.mark.parametrize("average", ["0.12", "0.125", "0.13"])
def test_an_average_may_be_half_a_cent_off_for_each_order(average: str) -> None:
    """1.00 over eight orders is 0.12 or 0.13, whichever way it was rounded."""
    assert check_summary(GOOD | {"total_spent": 1, "avg_order_value": average}, digits=2).spent_minor == 100


ANYTHING = st.none() | st.booleans() | st.integers() | st.floats() | st.text("0123456789.eE-+_ ٣∞nan", max_size=12)


@given(st.dictionaries(st.sampled_from(sorted(GOOD)), ANYTHING))
def test_whatever_comes_is_taken_or_refused(fields: dict[str, object]) -> None:
    """No input leads to any other error, and what is taken is possible."""
    with contextlib.suppress(InvalidSummary):
        summary = check_summary(GOOD | fields, digits=2)
        assert summary.order_count >= 1
        assert 0 <= summary.last_purchase_days <= summary.first_purchase_days
