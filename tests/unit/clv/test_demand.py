"""The plan's formulas: customers who order at random, and what a row, a worker and an order take."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from clv.capacity import plan
from clv.demand import Demand, Prices, examples_per_order, memory_bytes, order_cpu_us, silences_per_order
from clv.errors import InputError
from clv.ledger import ENTRY_BYTES
from clv.rules import SILENCE_DAYS

SHOP = Demand(customers=1_000_000, orders_per_second=1.0)


@pytest.mark.parametrize("gap_days", [20.0, 80.0, 300.0])
def test_silences_are_those_of_customers_who_order_at_random(gap_days: float) -> None:
    """Against drawn gaps: thresholds that each has passed."""
    draw = random.Random(1)
    gaps = [draw.expovariate(1 / gap_days) for _ in range(20_000)]
    drawn = sum(sum(gap > days for days in SILENCE_DAYS) for gap in gaps) / len(gaps)
    assert silences_per_order(gap_days) == pytest.approx(drawn, rel=0.03)


@pytest.mark.parametrize("gap_days", [3.0, 20.0, 80.0, 300.0])
def test_examples_are_moments_thirty_days_apart(gap_days: float) -> None:
    """Against drawn customers: every silence, and orders when nothing was taken for thirty days."""
    draw = random.Random(2)
    now, last, orders, taken = 0.0, -1e9, 0, 0
    while orders < 30_000:
        gap = draw.expovariate(1 / gap_days)
        orders += 1
        silences = [now + days for days in SILENCE_DAYS if days < gap]
        for moment in (now, *silences):
            if moment - last >= 30 - 1e-6:
                taken += 1
                last = moment
        now += gap
    assert examples_per_order(gap_days, 90) == pytest.approx(taken / orders, rel=0.05)


def test_no_more_labels_are_open_than_may_be() -> None:
    """A long horizon lets four mature in its time."""
    assert examples_per_order(80, 720) == pytest.approx(4 * 80 / 720)


def test_a_longer_history_takes_its_ledger() -> None:
    """32 bytes an order of each customer, in memory; and no more beyond the ledger's bound."""
    of = {orders: plan(replace(SHOP, orders_per_customer=orders))["worker_memory"].value for orders in (4, 104, 4_096)}
    assert (of[104] - of[4]) * 1e9 == pytest.approx(100 * ENTRY_BYTES * SHOP.customers)
    bounded = plan(replace(SHOP, orders_per_customer=9_000))
    assert bounded["ledger_entries"].value == 4_096
    assert bounded["workers"].value == plan(replace(SHOP, orders_per_customer=4_096))["workers"].value


def test_history_never_makes_an_order_cheaper() -> None:
    """The noise of short histories is not taken for a gain, and long ones cost what was seen."""
    costs = [order_cpu_us(entries) for entries in (1, 4, 16, 64, 256, 1_024, 4_096, 100_000)]
    assert costs == sorted(costs[:3], reverse=True) + costs[3:]
    assert costs[-1] == costs[-2] > costs[-3] > costs[-4]


def test_rocksdb_holds_less_at_a_million() -> None:
    """And memory grows with customers in both."""
    sizes = (0, 50_000, 100_000, 200_000, 300_000, 700_000, 1_000_000, 5_000_000)
    for store in ("memory", "rocksdb"):
        held = [memory_bytes(store, size) for size in sizes]
        assert held == sorted(held)
    assert memory_bytes("rocksdb", 1_000_000) < memory_bytes("memory", 1_000_000)


def test_more_workers_come_from_rate_memory_or_start() -> None:
    """Whichever asks for most."""
    least = plan(SHOP)
    small = plan(replace(SHOP, worker_gb=0.6))
    quick = plan(replace(SHOP, start_seconds=2.0))
    busy = plan(Demand(customers=1_000_000, orders_per_second=20_000.0, orders_per_customer=4))
    assert least["workers"].value == 1
    assert small["workers"].value == small["workers_memory"].value > 1
    assert quick["workers"].value == quick["workers_start"].value > 1
    assert busy["workers"].value == busy["workers_rate"].value > 1
    assert busy["partitions"].value == 2 * busy["workers"].value


def test_cost_is_told_only_with_prices() -> None:
    """And is their sum over cores, memory and disk."""
    assert "cost" not in plan(SHOP)
    found = plan(replace(SHOP, prices=Prices(vcpu_hour=0.5, memory_gb_month=3.0, disk_gb_month=0.1)))
    expected = 730 * 0.5 * found["cores"].value + 3.0 * found["memory"].value + 0.1 * found["disk"].value
    assert found["cost"].value == pytest.approx(expected)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"customers": 0}, "--customers is 0"),
        ({"customers": 100_000_001}, "--customers"),
        ({"orders_per_second": float("nan")}, "--orders-per-second"),
        ({"orders_per_second": -1.0}, "--orders-per-second"),
        ({"peak": 0.5}, "--peak"),
        ({"orders_per_customer": -3.0}, "--orders-per-customer"),
        ({"horizon_days": 0}, "--horizon"),
        ({"busy_share": 1.5}, "--busy"),
        ({"store": "redis"}, "--store is 'redis'"),
        ({"database": "oracle"}, "--database is 'oracle'"),
        ({"prices": Prices(vcpu_hour=-1.0)}, "--price-vcpu-hour"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_is_impossible_is_refused(changed: dict[str, Any], says: str) -> None:
    """With the option, and a hint."""
    with pytest.raises(InputError, match=says) as refused:
        plan(replace(SHOP, **changed))
    assert refused.value.hint
