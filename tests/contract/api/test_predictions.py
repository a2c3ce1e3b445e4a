"""Predictions from aggregated figures."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clv.outcomes import Score
from tests.contract.api.trading import SNAPSHOT, traded

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

FIGURES: dict[str, Any] = {
    "total_orders": 8,
    "total_spent": 1240.0,
    "avg_order_value": 155.0,
    "days_since_first_purchase": 400,
    "days_since_last_purchase": 20,
    "num_categories": 3,
    "acquisition_source": "google",
    "campaign_type": "brand",
    "acquisition_cost": 25.0,
    "email_engagement_rate": 0.4,
    "return_rate": 0.05,
}


def test_the_answer_has_what_the_contract_names(client: TestClient) -> None:
    """The four fields are there, the model is the stream's, and the interval holds the prediction."""
    answer = client.post("/api/predict", json=FIGURES)
    assert answer.status_code == 200
    found = answer.json()
    assert {"predicted_clv", "segment", "confidence", "recommended_cac"} <= set(found)
    assert (found["model"], found["model_version"]) == ("stream", SNAPSHOT.version)
    assert found["clv_lower"] <= found["predicted_clv"] <= found["clv_upper"]
    assert found["horizon_days"] == 90


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    orders=st.integers(1, 300),
    cents=st.integers(0, 10**9),
    first=st.floats(0, 3_000).map(lambda days: round(days, 6)),
    part=st.floats(0, 1),
    returned=st.floats(0, 1).map(lambda share: round(share, 6)),
)
def test_any_consistent_customer_gets_a_sound_answer(  # Hypothesis gives them by name
    client: TestClient, orders: int, cents: int, first: float, part: float, returned: float
) -> None:
    """The CAC is 30 % of the prediction to the cent, half up; answering twice gives the same; nothing is negative."""
    figures = {
        "total_orders": orders,
        "total_spent": cents / 100,
        "days_since_first_purchase": first,
        "days_since_last_purchase": first if orders == 1 else round(first * part, 6),
        "return_rate": returned,
    }
    found = client.post("/api/predict", json=figures).json()
    clv_cents = round(Fraction(str(found["predicted_clv"])) * 100)
    assert round(found["recommended_cac"] * 100) == int(clv_cents * Fraction(3, 10) + Fraction(1, 2))
    assert 0 <= found["clv_lower"] <= found["predicted_clv"] <= found["clv_upper"]
    assert found == client.post("/api/predict", json=figures).json()


def test_a_customer_of_one_order_is_scored_as_the_stream_scored_it(client: TestClient) -> None:
    """Where a summary leaves nothing out, prediction and stream agree to the cent."""
    first = next(o for o in traded().outcomes if isinstance(o, Score) and o.order_count == 1 and o.reason == "order")
    figures = {
        "total_orders": 1,
        "total_spent": first.revenue_minor / 100,
        "days_since_first_purchase": 0,
        "days_since_last_purchase": 0,
    }
    assert client.post("/api/predict", json=figures).json()["predicted_clv"] == first.clv_minor / 100


def test_a_batch_answers_as_one_by_one(client: TestClient) -> None:
    """Many at once, in their order, are what each would be alone."""
    several = [
        FIGURES,
        {**FIGURES, "days_since_last_purchase": 300},
        {**FIGURES, "total_spent": 80, "avg_order_value": 10},
    ]
    batch = client.post("/api/predict/batch", json={"customers": several}).json()["predictions"]
    assert batch == [client.post("/api/predict", json=each).json() for each in several]


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"avg_order_value": 15.0}, ["avg_order_value"]),
        ({"days_since_last_purchase": 401}, ["days_since_last_purchase"]),
        ({"return_rate": 1.2}, ["return_rate"]),
        ({"email_engagement_rate": -0.1}, ["email_engagement_rate"]),
        ({"total_orders": 0}, ["total_orders"]),
        ({"total_orders": None}, ["total_orders"]),
        ({"total_spent": "a lot"}, ["total_spent"]),
        ({"acquisition_source": "x" * 300}, ["acquisition_source"]),
        ({"total_orders": 1}, ["avg_order_value", "days_since_last_purchase"]),
    ],
)
def test_what_contradicts_itself_is_refused_with_its_fields(
    client: TestClient, change: dict[str, Any], fields: list[str]
) -> None:
    """An impossible or inconsistent figure is a 422 that names the field and says why."""
    answer = client.post("/api/predict", json={**FIGURES, **change})
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == fields
    assert all(len(error["detail"]) > 5 for error in answer.json()["errors"])


def test_a_batch_names_the_customer_who_is_wrong(client: TestClient) -> None:
    """One contradiction refuses the batch and says whose it is."""
    several = [FIGURES, {**FIGURES, "avg_order_value": 1.0}]
    answer = client.post("/api/predict/batch", json={"customers": several})
    assert [error["field"] for error in answer.json()["errors"]] == ["customers.1.avg_order_value"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"text"', b"\xff\xfe", b'{"total_orders": NaN}'])
def test_what_is_no_json_object_is_refused(client: TestClient, body: bytes) -> None:
    """Broken or wrong bodies are problems, never failures inside."""
    answer = client.post("/api/predict", content=body, headers={"content-type": "application/json"})
    assert 400 <= answer.status_code < 500
    assert answer.headers["content-type"] == "application/problem+json"
