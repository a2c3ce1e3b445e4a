"""Summary, segments, distributions, model quality, audiences, budget and health: sums of what is stored."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clv.outcomes import Score, SegmentChange, TrainingExample
from storage.heartbeats import beat
from tests.contract.api.trading import SNAPSHOT, traded

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

    from storage.engine import Database


def _get(client: TestClient, path: str, **parameters: Any) -> Any:
    answer = client.get(path, params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


def _latest() -> list[Score]:
    found = {outcome.customer_id: outcome for outcome in traded().outcomes if isinstance(outcome, Score)}
    return list(found.values())


def test_the_summary_is_what_the_scores_add_up_to(client: TestClient) -> None:
    """Counts and money are sums over the latest score of each customer, to the cent."""
    found, scores = _get(client, "/api/dashboard/summary"), _latest()
    assert found["customers"] == len(scores)
    assert found["orders"] == sum(score.order_count for score in scores)
    assert found["revenue"] == sum(score.revenue_minor for score in scores) / 100
    assert found["refunded"] == sum(score.refunded_minor for score in scores) / 100
    assert found["total_clv"] == sum(score.clv_minor for score in scores) / 100
    assert found["total_clv_lower"] < found["total_clv"] < found["total_clv_upper"]
    assert found["dead_letters"] == 3
    assert found["champion"] == "btyd"
    assert found["freshness_seconds"] < 120
    assert found["is_replay"] is True
    assert found["is_stale"] is False
    sizes = Counter(score.segment for score in scores)
    assert {each["segment"]: each["customers"] for each in found["segments"]} == dict(sizes)


def test_segments_share_customers_and_value(client: TestClient) -> None:
    """Shares add up to one, means are totals over customers, and the CAC target is 30 % of the mean."""
    found = _get(client, "/api/segments")
    assert abs(sum(each["share"] for each in found["segments"]) - 1) < 1e-5
    assert abs(sum(each["value_share"] for each in found["segments"]) - 1) < 1e-5
    for each in found["segments"]:
        assert abs(each["mean_clv"] * each["customers"] - each["total_clv"]) <= 0.005 * each["customers"] + 1e-6
        assert abs(each["cac_target"] - 0.3 * each["mean_clv"]) <= 0.0051


def test_movement_counts_every_change_of_the_period(client: TestClient) -> None:
    """Over the whole time the movement is the segment changes by from, to and reason; a day's is that day's."""
    changes = [outcome for outcome in traded().outcomes if isinstance(outcome, SegmentChange)]
    found = _get(client, "/api/segments", days=3650)["movement"]
    counted = Counter((change.from_segment, change.to_segment) for change in changes)
    assert {(each["from_segment"], each["to_segment"]): each["changes"] for each in found} == dict(counted)
    assert sum(n for each in found for n in each["reasons"].values()) == len(changes)
    day = changes[len(changes) // 2].as_of[:10]
    of_day = _get(client, "/api/segments", days=1, to=day)["movement"]
    assert sum(each["changes"] for each in of_day) == sum(change.as_of[:10] == day for change in changes)


def test_the_newest_changes_come_first(client: TestClient) -> None:
    """The feed's beginning is the changes of the latest event time."""
    found = _get(client, "/api/segments/changes", limit=10)["items"]
    moments = sorted((o.as_of for o in traded().outcomes if isinstance(o, SegmentChange)), reverse=True)
    assert [each["as_of"] for each in found] == moments[:10]


def test_distributions_hold_everybody(client: TestClient) -> None:
    """Curve, cohorts, sources and days each end at the whole."""
    found, scores = _get(client, "/api/distributions"), _latest()
    assert (found["lorenz"][0]["value_share"], found["lorenz"][-1]["value_share"]) == (0.0, 1.0)
    values = [point["value_share"] for point in found["lorenz"]]
    assert values == sorted(values)
    assert 0.1 < found["top_decile_share"] <= 1
    assert sum(each["customers"] for each in found["cohorts"]) == len(scores)
    assert sum(each["customers"] for each in found["sources"]) == len(scores)
    assert sum(each["orders"] for each in found["days"]) == sum(score.order_count for score in scores)
    assert found["days"][-1]["total_clv"] == sum(score.clv_minor for score in scores) / 100
    net = sum(score.revenue_minor - score.refunded_minor for score in scores) / 100
    brought = sum(each["curve"][-1]["net_per_customer"] * each["customers"] for each in found["cohorts"])
    assert abs(brought - net) < 0.01 * len(scores)


def test_quality_is_measured_on_what_matured(client: TestClient) -> None:
    """Each model that answered is measured on the matured examples; calibration has ten parts in falling order."""
    found = _get(client, "/api/metrics")
    examples = [outcome for outcome in traded().outcomes if isinstance(outcome, TrainingExample)]
    by_name = {each["name"]: each for each in found["models"]}
    assert by_name["clv"]["examples"] == len(examples)
    expected = sum(abs(one.value_minor - one.clv_minor) for one in examples) / len(examples) / 100
    assert by_name["clv"]["mae"] == pytest.approx(expected, abs=1e-3)
    assert by_name["btyd"]["role"] == "champion"
    assert len(found["calibration"]) == 10
    predicted = [point["predicted"] for point in found["calibration"]]
    assert predicted == sorted(predicted, reverse=True)
    assert (found["champion"]["name"], found["champion"]["version"]) == ("btyd", SNAPSHOT.version)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cents=st.integers(0, 10**11))
def test_a_budget_is_split_to_the_cent(client: TestClient, cents: int) -> None:
    """Amounts sum to the total, and each is within a cent of its share."""
    found = _get(client, "/api/meta-ads/budget-allocation", total_budget=f"{cents // 100}.{cents % 100:02d}")
    amounts = [round(each["amount"] * 100) for each in found["allocations"]]
    assert sum(amounts) == cents == round(found["total_budget"] * 100)
    assert all(abs(amount - cents * share) < 1 for amount, share in zip(amounts, (0.5, 0.35, 0.15), strict=True))


def test_a_budget_says_what_it_rests_on(client: TestClient) -> None:
    """Without response data it is the baseline and says so; without a total it is the setting's."""
    found = _get(client, "/api/meta-ads/budget-allocation")
    assert (found["total_budget"], found["method"], found["currency"]) == (
        10_000.0,
        "baseline, no response data",
        "USD",
    )
    assert [each["segment"] for each in found["allocations"]] == ["High-CLV", "Growth-Potential", "Low-CLV"]


@pytest.mark.parametrize("budget", ["-1", "NaN", "inf", "1.234", "1e300", "ten"])
def test_an_impossible_budget_is_refused(client: TestClient, budget: str) -> None:
    """A negative, endless or too fine amount is a 422 that names it."""
    answer = client.get("/api/meta-ads/budget-allocation", params={"total_budget": budget})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "query.total_budget")


def test_audiences_are_as_large_as_their_segments(client: TestClient) -> None:
    """Sizes are the segments'; below the platform's minimum an audience says so; names tell nothing of money."""
    found = _get(client, "/api/meta-ads/audiences")["items"]
    sizes = Counter(score.segment for score in _latest())
    assert {each["segment"]: each["size"] for each in found if each["segment"]} == dict(sizes)
    by_name = {each["name"]: each["size"] for each in found}
    assert (by_name["CLV seed"], by_name["CLV existing customers"]) == (sizes.total(), sizes.total())
    assert all((each["status"] == "too_small") == (each["size"] < 100) for each in found)
    assert not any(word in each["name"].lower() for each in found for word in ("income", "credit", "rich", "spend"))


def test_health_names_what_is_missing(client: TestClient, database: Database) -> None:
    """Without a role it is degraded and says which; with all of them it is ok, with the lag that the sink measured."""
    found = _get(client, "/api/health")
    assert found["status"] == "degraded"
    assert found["problems"] == ["no worker is running", "no sink is running", "no trainer is running"]
    now_ms = round(time.time() * 1000)
    for role in ("worker", "trainer"):
        beat(database, role, f"{role}-1", started_ms=now_ms - 5_000, figures={})
    lag = {"lag_orders": 7, "lag_outputs": 3, "lag_days_to_learn": 0}
    beat(database, "sink", "sink-1", started_ms=now_ms - 5_000, figures=lag)
    found = _get(client, "/api/health")
    assert (found["status"], found["problems"]) == ("ok", [])
    assert found["lag"] == {"orders": 7, "outputs": 3, "days_to_learn": 0}
    assert [each["role"] for each in found["roles"]] == ["sink", "trainer", "worker"]
    assert found["model_age"]["version"] == SNAPSHOT.version


def test_probes_answer_and_prometheus_reads_figures(client: TestClient, database: Database) -> None:
    """The probes say ok and ready; the metrics have the store's figures and count requests by route."""
    assert client.get("/healthz").text == "ok\n"
    assert client.get("/readyz").json() == {"status": "ready"}
    client.get("/api/customers/c001")
    lag = {"lag_orders": 7, "lag_outputs": 3, "lag_days_to_learn": 2}
    beat(database, "sink", "sink-1", started_ms=0, figures=lag)
    text = client.get("/metrics").text
    assert "clv_database_up 1.0" in text
    assert f"clv_customers {float(len(_latest()))}" in text
    assert 'clv_lag_records{what="orders"} 7.0' in text
    assert "clv_learning_lag_seconds 172800.0" in text
    assert 'path="/api/customers/{customer_id:path}"' in text
    assert "c001" not in text
