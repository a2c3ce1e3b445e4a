"""Customers over HTTP: pages, filters, one, its history, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from clv.outcomes import Score
from tests.contract.api.trading import ODD_CUSTOMER, traded

if TYPE_CHECKING:
    from fastapi.testclient import TestClient


def _latest() -> dict[str, Score]:
    return {outcome.customer_id: outcome for outcome in traded().outcomes if isinstance(outcome, Score)}


def _all(client: TestClient, **parameters: Any) -> list[dict[str, Any]]:
    """Read every page."""
    items: list[dict[str, Any]] = []
    cursor = None
    while True:
        page = client.get("/api/customers", params={"limit": 7, **parameters} | ({"cursor": cursor} if cursor else {}))
        assert page.status_code == 200, page.text
        items += page.json()["items"]
        cursor = page.json()["next"]
        if cursor is None:
            return items


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("sort", ["clv", "revenue", "last_order_at", "customer_id"])
def test_pages_hold_everybody_once_in_order(client: TestClient, sort: str, order: str) -> None:
    """Page after page in any order is the whole list sorted by the field, then by customer_id."""
    found = [(item[sort], item["customer_id"]) for item in _all(client, sort=sort, order=order)]
    assert found == sorted(found, key=lambda pair: (pair[0], pair[1].encode()), reverse=order == "desc")
    assert sorted(name for _, name in found) == sorted(_latest())


def test_an_item_is_the_latest_score(client: TestClient) -> None:
    """Every field of the contract is there and says what the score event said."""
    for item in _all(client):
        score = _latest()[item["customer_id"]]
        assert item["clv"] == score.clv_minor / 100
        assert (item["clv_lower"], item["clv_upper"]) == (score.clv_lower_minor / 100, score.clv_upper_minor / 100)
        assert item["segment"] == score.segment
        assert item["order_count"] == score.order_count
        assert item["revenue"] == score.revenue_minor / 100
        assert item["refunded"] == score.refunded_minor / 100
        assert (item["as_of"], item["last_order_at"]) == (score.as_of, score.last_order_at)
        assert item["model_versions"]["scorer"] == score.models.scorer
        assert abs(item["recommended_cac"] - 0.3 * item["clv"]) <= 0.005 + 1e-9
        assert {"clv_year", "horizon_days", "confidence", "churn_probability", "expected_next_order_at"} <= set(item)


def test_filters_leave_exactly_those_who_fit(client: TestClient) -> None:
    """Segment, bounds of CLV and of the last order, and the beginning of an id, alone and together."""
    everybody = _all(client)
    middle = sorted(item["clv"] for item in everybody)[len(everybody) // 2]
    moment = sorted(item["last_order_at"] for item in everybody)[len(everybody) // 2]
    cases: list[tuple[dict[str, Any], Any]] = [
        ({"segment": "High-CLV"}, lambda item: item["segment"] == "High-CLV"),
        ({"segment": "none"}, lambda item: item["segment"] is None),
        ({"min_clv": middle}, lambda item: item["clv"] >= middle),
        ({"max_clv": middle}, lambda item: item["clv"] <= middle),
        ({"last_order_from": moment}, lambda item: item["last_order_at"] >= moment),
        ({"last_order_to": moment, "sort": "revenue"}, lambda item: item["last_order_at"] <= moment),
        ({"search": "c0\x00"}, lambda _: False),
        ({"search": "c01"}, lambda item: item["customer_id"].startswith("c01")),
        (
            {"search": "c0", "segment": "Low-CLV"},
            lambda item: item["segment"] == "Low-CLV" and item["customer_id"][0] == "c",
        ),
    ]
    for parameters, fits in cases:
        found = {item["customer_id"] for item in _all(client, **parameters)}
        assert found == {item["customer_id"] for item in everybody if fits(item)}, parameters


def test_one_customer_whatever_the_id(client: TestClient) -> None:
    """An id with slashes, quotes and markup is found when it is escaped, with its history and its why."""
    path = f"/api/customers/{quote(ODD_CUSTOMER, safe='')}"
    assert client.get(path).json()["customer_id"] == ODD_CUSTOMER
    assert client.get(f"{path}/history").json()["customer_id"] == ODD_CUSTOMER
    assert client.get(f"{path}/why").json()["customer_id"] == ODD_CUSTOMER


def test_history_adds_up_to_the_customer(client: TestClient) -> None:
    """Orders and refunds sum to revenue and refunded; the last score is the current one; changes are in order."""
    for item in _all(client):
        history = client.get(f"/api/customers/{quote(item['customer_id'], safe='')}/history?limit=1000").json()
        lines = history["orders"]
        assert round(sum(x["amount"] for x in lines if x["kind"] == "order"), 2) == item["revenue"]
        assert round(sum(x["amount"] for x in lines if x["kind"] == "refund"), 2) == item["refunded"]
        assert [x["at"] for x in lines] == sorted(x["at"] for x in lines)
        assert (history["scores"][-1]["clv"], history["scores"][-1]["as_of"]) == (item["clv"], item["as_of"])
        changes = history["segment_changes"]
        assert [x["to_segment"] for x in changes[:-1]] == [x["from_segment"] for x in changes[1:]]
        assert changes[-1]["to_segment"] == item["segment"]


def test_why_adds_up_to_the_score(client: TestClient) -> None:
    """Base and contributions sum to the stored CLV to the cent, by the models that gave it."""
    for item in _all(client)[:20]:
        why = client.get(f"/api/customers/{quote(item['customer_id'], safe='')}/why").json()
        assert why["is_current"] is True
        assert why["clv"] == item["clv"]
        assert round(why["base"] + sum(part["amount"] for part in why["contributions"]), 2) == item["clv"]


@pytest.mark.parametrize("path", ["", "/history", "/why"])
@pytest.mark.parametrize("customer_id", ["nobody", "..%2F..%2Fetc%2Fpasswd", "c%00", "%27%20OR%201%3D1--"])
def test_who_is_not_there_is_not_found(client: TestClient, customer_id: str, path: str) -> None:
    """An unknown id, a path upwards, a NUL and a piece of SQL are customers that do not exist."""
    answer = client.get(f"/api/customers/{customer_id}{path}")
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:clv:problem:not-found")


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"limit": 0}, "query.limit"),
        ({"limit": 201}, "query.limit"),
        ({"sort": "email"}, "query.sort"),
        ({"segment": "Gold"}, "query.segment"),
        ({"min_clv": "NaN"}, "query.min_clv"),
        ({"min_clv": "1.234"}, "query.min_clv"),
        ({"last_order_from": "yesterday"}, "query.last_order_from"),
        ({"last_order_to": "2024-05-01T00:00:00"}, "query.last_order_to"),
        ({"cursor": "!!"}, "query.cursor"),
        ({"cursor": "W10"}, "query.cursor"),
        ({"cursor": "WyJjbHYiLCJhc2MiLDEsImMiXQ"}, "query.cursor"),  # of the other direction
        ({"search": "x" * 257}, "query.search"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_its_field(
    client: TestClient, parameters: dict[str, Any], field: str
) -> None:
    """A bad parameter is a 422 that names it."""
    answer = client.get("/api/customers", params=parameters)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:clv:problem:invalid-input"
    assert [error["field"] for error in answer.json()["errors"]] == [field]
