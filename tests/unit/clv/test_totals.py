"""Feature vectors computed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clv.features import FEATURE_NAMES, RECENT_HALF_LIVES_DAYS, code_of
from clv.ledger import CLICKED, OPENED, ORDER, REFUND, SENT, Entry, fingerprint
from clv.moments import features_at
from clv.rules import DAY_MS, Rules
from clv.testing import PartitionRig, email, order, refund
from clv.totals import Attributes, Totals, extract

ZERO = dict.fromkeys(FEATURE_NAMES, 0.0)


def features(records: list[tuple[bytes, bytes]], day: float) -> dict[str, float]:
    """Features by name of customer c, so many days after 1970."""
    rig = PartitionRig(Rules(far_ahead_ms=3_650 * DAY_MS))
    rig.feed(records)
    return dict(zip(FEATURE_NAMES, features_at(rig.state("c"), round(day * DAY_MS)), strict=True))


def day(number: float) -> float:
    """Epoch seconds of a day."""
    return number * 86_400


def recent(*days_ago: int) -> dict[str, object]:
    """The recent purchases of somebody who bought so many days ago."""
    return {
        f"recent_purchases_{half}d": pytest.approx(sum(0.5 ** (days / half) for days in days_ago), rel=1e-12)
        for half in (30, 60, 120)
    }


def category_code(category: str) -> int:
    """The number of a category's name: its fingerprint, within what float32 holds."""
    return fingerprint("category", category) % (2**24 - 1) + 1


def test_one_order() -> None:
    """A single order repeats nothing: gaps and variations are 0."""
    acquisition = {"source": "search", "campaign_type": "brand", "cost": "2.00"}
    expected = ZERO | {
        "order_count": 1,
        "customer_age_days": 10,
        "days_since_last_order": 10.25,
        "mean_purchase_value_minor": 1990,
        "first_purchase_value_minor": 1990,
        "last_purchase_value_minor": 1990,
        "revenue_minor": 1990,
        "category_count": 1,
        "acquisition_cost_minor": 200,
        "has_acquisition": 1,
        "source_code": code_of("search"),
        "campaign_code": code_of("brand"),
        "category_code": category_code("hats"),
        **recent(10),
    }
    record = order("c", "o1", day(100.5), "19.90", category="hats", acquisition=acquisition)
    assert expected == features([record], 110.75)


def test_orders_of_one_day_are_one_purchase() -> None:
    """Two orders of a UTC day repeat nothing, and their values add up to one purchase."""
    records = [order("c", "o1", day(100.1), "10.00"), order("c", "o2", day(100.9), "5.00")]
    expected = ZERO | {
        "order_count": 2,
        "customer_age_days": 1,
        "days_since_last_order": pytest.approx(0.1),
        "mean_purchase_value_minor": 1500,
        "first_purchase_value_minor": 1500,
        "last_purchase_value_minor": 1500,
        "revenue_minor": 1500,
        **recent(1),
    }
    assert expected == features(records, 101.0)


def test_orders_of_value_zero_count_but_do_not_purchase() -> None:
    """They raise ``order_count`` and end a silence; BTYD's clock starts at the first purchase."""
    records = [
        order("c", "o1", day(90), "0.00"),
        order("c", "o2", day(100), "10.00"),
        order("c", "o3", day(120), "0.00"),
    ]
    expected = ZERO | {
        "order_count": 3,
        "customer_age_days": 30,
        "days_since_last_order": 10,
        "mean_purchase_value_minor": 1000,
        "first_purchase_value_minor": 1000,
        "last_purchase_value_minor": 1000,
        "revenue_minor": 1000,
        **recent(30),
    }
    assert expected == features(records, 130)
    only = features([order("c", "o1", day(90), "0")], 95)
    assert only == ZERO | {"order_count": 1, "customer_age_days": 5, "days_since_last_order": 5}


def test_repeats_refunds_and_emails() -> None:
    """Three purchase days of 10, 30 and 20, gaps of 10 and 30 days, a quarter refunded, mail opened once in four."""
    records = [
        order("c", "o1", day(100), "10.00", category="hats"),
        order("c", "o2", day(110), "30.00", category="shoes"),
        order("c", "o3", day(140), "20.00", category="hats"),
        refund("c", "r1", day(141), "15.00", order_id="o2"),
        *(email("c", f"s{n}", day(141.1 + n / 100), "sent") for n in range(4)),
        email("c", "opened", day(141.5), "opened"),
        email("c", "clicked", day(141.6), "clicked"),
    ]
    # gaps 10 and 30: mean 20, deviation 10; values 10, 30, 20: mean 20, deviation sqrt(200/3).
    expected = ZERO | {
        "order_count": 3,
        "repeat_purchase_count": 2,
        "last_purchase_age_days": 40,
        "customer_age_days": 60,
        "days_since_last_order": 20,
        "mean_purchase_value_minor": 2000,
        "mean_repeat_value_minor": 2500,
        "first_purchase_value_minor": 1000,
        "last_purchase_value_minor": 2000,
        "revenue_minor": 6000,
        "return_rate": 0.25,
        "mean_gap_days": 20,
        "gap_cv": 0.5,
        "recency_ratio": 1.0,
        "value_cv": pytest.approx(math.sqrt(200 / 3) / 20),
        "category_count": 2,
        "email_sent_count": 4,
        "email_open_rate": 0.25,
        "email_click_rate": 0.25,
        "category_code": category_code("hats"),
        **recent(60, 50, 20),
    }
    assert expected == features(records, 160)


def test_rates_stay_rates() -> None:
    """More clicks than mails sent, or more refunded than bought, is a rate of 1."""
    records = [
        order("c", "o1", day(100), "10.00"),
        refund("c", "r1", day(100.1), "50.00"),
        email("c", "s", day(100.2), "sent"),
        *(email("c", f"x{n}", day(100.3 + n / 100), "opened") for n in range(3)),
    ]
    found = features(records, 101)
    assert (found["return_rate"], found["email_open_rate"]) == (1.0, 1.0)


def test_attributes_dated_later_are_not_yet_known() -> None:
    """A category or an acquisition seen later does not reach an earlier moment."""
    acquisition = {"source": "search", "campaign_type": "brand", "cost": "2.00"}
    rig = PartitionRig(Rules(far_ahead_ms=3_650 * DAY_MS))
    rig.feed([order("c", "o1", day(100), "1"), order("c", "o2", day(105), "1", category="x", acquisition=acquisition)])
    early = dict(zip(FEATURE_NAMES, features_at(rig.state("c"), round(day(104.9) * 1000)), strict=True))
    assert (early["category_count"], early["has_acquisition"], early["acquisition_cost_minor"]) == (0, 0, 0)
    assert (early["source_code"], early["campaign_code"], early["category_code"]) == (0, 0, 0)
    late = dict(zip(FEATURE_NAMES, features_at(rig.state("c"), round(day(105) * 1000)), strict=True))
    assert (late["source_code"], late["campaign_code"]) == (code_of("search"), code_of("brand"))


def test_the_category_is_the_earliest_seen_whatever_came_first() -> None:
    """An order that arrives late but is dated earlier gives the category's code."""
    records = [
        order("c", "o2", day(110), "1.00", category="shoes"),
        order("c", "o1", day(109), "1.00", category="hats"),
    ]
    assert features(records, 120)["category_code"] == category_code("hats")


@given(st.lists(st.integers(0, 3_000), min_size=1, max_size=40), st.integers(0, 400))
def test_recent_purchases_equal_a_recount_of_all_purchase_days(quarters: list[int], later_days: int) -> None:
    """Folded one by one, recent purchases are what a sum over all purchase days gives."""
    totals = Totals()
    for at in sorted(quarters):
        totals.fold_order(at * DAY_MS // 4, at % 3 * 100)
    bought = {at // 4 for at in quarters if at % 3}
    today = max(quarters) // 4 + later_days
    expected = [sum(0.5 ** ((today - on) / half) for on in bought) for half in RECENT_HALF_LIVES_DAYS]
    assert totals.recent_as_of(today) == pytest.approx(expected if bought else [], rel=1e-9)


@pytest.mark.parametrize("text", ["google", "größe", "\ud800"], ids=["plain", "umlaut", "surrogate"])
def test_codes_fit_float32(text: str) -> None:
    """A name's code survives float32, as snapshots store it, and is never that of no name."""
    code = code_of(text)
    assert 0 < code < 2**24
    assert float(np.float32(code)) == code


@given(
    st.lists(
        st.tuples(
            st.integers(0, 2_000), st.sampled_from([ORDER, REFUND, SENT, OPENED, CLICKED]), st.integers(0, 10**14)
        ),
        min_size=1,
        max_size=30,
    ),
    st.integers(0, 80_000),
)
def test_every_feature_is_finite(steps: list[tuple[int, int, int]], later_days: int) -> None:
    """Whatever was folded in, no feature is infinite, not a number or negative."""
    totals = Totals()
    for at, kind, amount in sorted(steps):
        totals.fold(Entry(at * DAY_MS // 4, kind, 1, 0, amount), amount if kind == REFUND else 0)
    as_of = max(at for at, _, _ in steps) * DAY_MS // 4 + later_days * DAY_MS
    if totals.order_count:
        vector = extract(totals, as_of, Attributes(category_count=3))
        assert len(vector) == len(FEATURE_NAMES)
        assert all(math.isfinite(value) and value >= 0 for value in vector)
