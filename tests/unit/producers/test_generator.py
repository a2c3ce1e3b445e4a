"""The made-up shop: the same for its seed, ordered, and true to its documented effects."""

from __future__ import annotations

from collections import defaultdict
from statistics import mean

import pytest

from clv.events import EmailEngaged, OrderPlaced, OrderRefunded
from clv.settings import DAY_MS, HOUR_MS
from producers.effects import CAMPAIGN_EFFECTS, PEAK_SEASON, SOURCE_EFFECTS, season
from producers.generator import Shop

START = 19_723 * DAY_MS  # 2024-01-01


def _shop(**changes: object) -> Shop:
    plain: dict[str, object] = {"seed": 7, "customers": 150, "start_ms": START, "days": 200}
    return Shop(**{**plain, **changes})  # type: ignore[arg-type]  # keyword by keyword


def test_a_seed_gives_the_same_events_and_another_gives_others() -> None:
    """Iterating again gives the same too."""
    shop = _shop()
    assert list(shop) == list(shop) == list(_shop())
    assert list(shop) != list(_shop(seed=8))


def test_events_come_in_event_time_order_inside_the_period_each_once() -> None:
    """Also refunds that bear a time before their order's."""
    shop = _shop(refund_rate=1.0)
    events = list(shop)
    times = [event.occurred_ms for event in events]
    assert times == sorted(times)
    assert times[0] >= shop.first_ms
    assert times[-1] <= shop.last_ms
    assert len({event.event_id for event in events}) == len(events)
    assert sorted(e.event_id for e in events) == sorted(e.event_id for h in shop.histories() for e in h)


def test_refunds_are_partial_full_and_some_before_their_order() -> None:
    """None is above its order's total."""
    events = list(_shop(customers=600, refund_rate=0.5, has_mail=False))
    orders = {event.order_id: event for event in events if isinstance(event, OrderPlaced)}
    refunds = [event for event in events if isinstance(event, OrderRefunded)]
    shares = [refund.amount_minor / orders[refund.order_id].total_minor for refund in refunds]
    lags = [refund.occurred_ms - orders[refund.order_id].occurred_ms for refund in refunds]
    assert max(shares) == 1.0
    assert min(shares) < 0.5
    assert -HOUR_MS <= min(lags) < 0 < max(lags)


@pytest.mark.parametrize("kind", ["source", "campaign_type"])
def test_mean_order_values_differ_by_the_documented_factors(kind: str) -> None:
    """Customers' mean values, averaged within each group, stand to each other as the table says."""
    values: dict[str, list[float]] = defaultdict(list)
    for history in _shop(customers=12_000, days=3, has_mail=False, refund_rate=0.0).histories():
        first = history[0]
        assert isinstance(first, OrderPlaced)
        other = CAMPAIGN_EFFECTS[first.campaign_type] if kind == "source" else SOURCE_EFFECTS[first.source]
        values[getattr(first, kind)].append(first.total_minor / 100 / other.value)
    effects = SOURCE_EFFECTS if kind == "source" else CAMPAIGN_EFFECTS
    found = {name: mean(group) / 40 for name, group in values.items()}
    assert found == pytest.approx({name: effect.value for name, effect in effects.items()}, rel=0.08)


def test_readers_of_mails_buy_more() -> None:
    """Engagement's effect on the rate shows in orders per customer."""
    counts: dict[bool, list[int]] = {True: [], False: []}
    for history in _shop(customers=1_500, days=500, refund_rate=0.0).histories():
        actions = [event.action for event in history if isinstance(event, EmailEngaged)]
        if actions.count("sent") >= 5:
            is_reader = actions.count("opened") / actions.count("sent") > 0.5
            counts[is_reader].append(sum(isinstance(event, OrderPlaced) for event in history))
    assert mean(counts[True]) > 1.1 * mean(counts[False])


def test_values_are_heavy_tailed() -> None:
    """The best tenth of customers has far more than a tenth of the revenue."""
    spent = sorted(
        sum(event.total_minor for event in history if isinstance(event, OrderPlaced))
        for history in _shop(customers=800, days=365, has_mail=False).histories()
    )
    assert sum(spent[-80:]) > 0.3 * sum(spent)


def test_the_season_has_its_top_in_december_and_stays_below_the_peak() -> None:
    """Thinning needs the bound."""
    year = [season(START + day * DAY_MS) for day in range(366)]
    assert max(year) <= PEAK_SEASON
    assert mean(year[335:365]) > 1.5 * mean(year[150:180])
