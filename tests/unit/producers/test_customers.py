"""Aggregated customers: what is refused, and what their histories add up to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clv.errors import InputError, InvalidEvent
from clv.events import EmailEngaged, OrderPlaced, OrderRefunded
from clv.settings import DAY_MS
from producers.customers import MAILS, CustomerTotals, check_customer, history, read_customers

if TYPE_CHECKING:
    from pathlib import Path

GOOD = {
    "customer_id": "007",
    "first_purchase_date": "2024-01-01",
    "last_purchase_date": "2024-01-31",
    "total_orders": "3",
    "total_spent": "100.00",
    "avg_order_value": "33.33",
    "acquisition_source": "search",
    "campaign_type": "brand",
    "email_engagement_rate": "0.3",
    "return_rate": "0.25",
}
START = 19_723 * DAY_MS  # 2024-01-01


def test_a_rows_history_has_the_rows_totals() -> None:
    """Orders, money, dates, refund, mails and acquisition are as the row says."""
    events = list(history(check_customer(GOOD, digits=2)))
    orders = [event for event in events if isinstance(event, OrderPlaced)]
    assert [(order.occurred_ms - START, order.total_minor) for order in orders] == [
        (0, 3334),
        (15 * DAY_MS, 3333),
        (30 * DAY_MS, 3333),
    ]
    assert {(order.customer_id, order.source, order.campaign_type) for order in orders} == {("007", "search", "brand")}
    assert [event.amount_minor for event in events if isinstance(event, OrderRefunded)] == [2500]
    actions = [event.action for event in events if isinstance(event, EmailEngaged)]
    assert (actions.count("sent"), actions.count("opened")) == (MAILS, 6)
    assert len({event.event_id for event in events}) == len(events)
    times = [event.occurred_ms for event in events]
    assert times == sorted(times)


@given(
    count=st.integers(1, 500),
    spent_minor=st.integers(0, 10**9),
    days=st.integers(0, 3_000),
    rate=st.floats(0, 1),
)
def test_any_history_sums_exactly_to_its_row(count: int, spent_minor: int, days: int, rate: float) -> None:
    """Counts and money are exact for every row; orders lie between its dates."""
    totals = CustomerTotals(
        customer_id="c",
        first_ms=START,
        last_ms=START + days * DAY_MS,
        order_count=count,
        spent_minor=spent_minor,
        refunded_minor=0,
        engagement_rate=rate,
        source="",
        campaign_type="",
    )
    events = list(history(totals))
    orders = [event for event in events if isinstance(event, OrderPlaced)]
    assert len(orders) == count
    assert sum(order.total_minor for order in orders) == spent_minor
    assert orders[0].occurred_ms == totals.first_ms
    assert orders[-1].occurred_ms == (totals.last_ms if count > 1 else totals.first_ms)
    opened = sum(isinstance(event, EmailEngaged) and event.action == "opened" for event in events)
    assert opened == round(rate * MAILS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"customer_id": ""}, "customer_id is empty", id="no-id"),
        pytest.param({"first_purchase_date": "1.1.2024"}, "first_purchase_date is not a date", id="date"),
        pytest.param({"last_purchase_date": "2023-12-31"}, "is before first_purchase_date", id="order-of-dates"),
        pytest.param({"total_orders": "2.5"}, "total_orders is not a whole number", id="half-order"),
        pytest.param({"total_orders": "0"}, "total_orders is not a whole number", id="no-order"),
        pytest.param({"total_orders": "1", "avg_order_value": "100"}, "there is one order", id="one-order-two-dates"),
        pytest.param({"total_spent": "-1"}, "total_spent is negative", id="negative"),
        pytest.param({"total_spent": "9" * 30}, "absurdly large", id="huge"),
        pytest.param({"avg_order_value": "33.40"}, "avg_order_value × total_orders", id="average"),
        pytest.param({"return_rate": "1.1"}, "return_rate is not a number from 0 to 1", id="rate"),
        pytest.param({"avg_order_value": "1e99"}, "avg_order_value is not a plain", id="average-huge"),
        pytest.param({"acquisition_cost": "-1"}, "acquisition_cost is negative", id="negative-cost"),
        pytest.param({"num_categories": "few"}, "num_categories is not a whole number", id="categories"),
        pytest.param({"email_engagement_rate": "NaN"}, "email_engagement_rate is not a number", id="nan"),
    ],
)
def test_rows_that_contradict_themselves_are_refused(change: dict[str, str], message: str) -> None:
    """The message says what is wrong."""
    with pytest.raises(InvalidEvent) as caught:
        check_customer(GOOD | change, digits=2)
    assert message in str(caught.value)


def test_an_average_may_have_any_number_of_decimals() -> None:
    """Files made by programs carry the quotient as it is."""
    assert check_customer(GOOD | {"avg_order_value": "33.333333333333336"}, digits=2).spent_minor == 10_000


def test_optional_figures_are_read_where_given_and_unknown_where_not() -> None:
    """Cost and categories come from their columns; without them, and without rates, the row says so."""
    given = check_customer(GOOD | {"acquisition_cost": "3.50", "num_categories": "4"}, digits=2)
    assert (given.acquisition_cost_minor, given.category_count, given.return_rate) == (350, 4, 0.25)
    orders = [event for event in history(given) if isinstance(event, OrderPlaced)]
    assert {order.acquisition_cost_minor for order in orders} == {350}
    bare = check_customer(GOOD | {"return_rate": ""}, digits=2)
    assert (bare.acquisition_cost_minor, bare.category_count, bare.return_rate) == (-1, -1, -1)


def test_a_file_with_bad_rows_is_read_and_they_are_reported(tmp_path: Path) -> None:
    """Bad rows and a customer's second row go to the rejects with their lines."""
    path = tmp_path / "customers.csv"
    rows = [GOOD, GOOD | {"customer_id": "8", "total_orders": "x"}, GOOD, GOOD | {"customer_id": "9"}]
    path.write_text("\n".join([",".join(GOOD), *(",".join(row.values()) for row in rows)]) + "\n")
    log = read_customers(path, currency="USD", rejects_path=tmp_path / "rejects.csv")
    assert ([totals.customer_id for totals in log.customers], log.rows, log.rejected) == (["007", "9"], 4, 2)
    assert [line.split(",")[0] for line in (tmp_path / "rejects.csv").read_text().splitlines()[1:]] == ["3", "4"]
    events = list(log)
    assert len(log) == len(events)
    assert events == sorted(events, key=lambda event: event.occurred_ms)
    assert list(read_customers(path, currency="USD")) == events


def test_a_file_without_its_columns_is_refused(tmp_path: Path) -> None:
    """The missing ones are named."""
    path = tmp_path / "customers.csv"
    path.write_text("customer_id,total_orders\n1,2\n")
    with pytest.raises(InputError, match="first_purchase_date, last_purchase_date, total_spent"):
        read_customers(path, currency="USD")
