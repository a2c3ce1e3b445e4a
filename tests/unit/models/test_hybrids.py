"""Customers put together from two are such as could exist."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from clv.features import FEATURE_INDEX, FEATURE_NAMES
from clv.rules import DAY_MS
from clv.totals import Attributes, Totals, extract
from models.hybrids import GROUP_NAMES, GROUPS, hybrids
from tests.unit.models.histories import absurd_rows, feature_rows

if TYPE_CHECKING:
    from clv.ports import Floats

Order = tuple[int, int]
OFTEN: tuple[Order, ...] = ((0, 4_000), (11, 6_500), (40, 1_500), (41, 3_000), (97, 9_000))
TWICE: tuple[Order, ...] = ((0, 1_000), (30, 9_000))
ONCE: tuple[Order, ...] = ((0, 2_500),)
NOTHING: tuple[Order, ...] = ((0, 0),)


def seen(orders: tuple[Order, ...], silence_days: int) -> Floats:
    """Return the feature row of a customer with orders of (day, minor units), so many days after the last one."""
    totals = Totals()
    for day, amount in orders:
        totals.fold_order(day * DAY_MS, amount)
    return np.array([extract(totals, (orders[-1][0] + silence_days) * DAY_MS, Attributes())])


def hybrid(own: Floats, other: Floats, *groups: str) -> dict[str, float]:
    """Return one hybrid: of the first customer these groups, of the second the others."""
    place = sum(1 << GROUP_NAMES.index(name) for name in groups)
    return dict(zip(FEATURE_NAMES, hybrids(own, other)[0, place].tolist(), strict=True))


def test_every_feature_belongs_to_one_group() -> None:
    """None to none, none to two, and no group holds what is no feature."""
    held = [name for names in GROUPS.values() for name in names]
    assert sorted(held) == sorted(FEATURE_NAMES)


def test_first_and_last_are_reference_and_customer() -> None:
    """To the last bit, however absurd."""
    own = np.vstack([feature_rows(20), absurd_rows()])
    others = np.roll(own, 3, axis=0)
    found = hybrids(own, others)
    assert found.shape == (len(own), 2 ** len(GROUP_NAMES), len(FEATURE_NAMES))
    assert found[:, -1].tolist() == own.tolist()
    assert found[:, 0].tolist() == others.tolist()
    assert np.isfinite(found).all()
    assert (found >= 0.0).all()


def test_some_coalitions_are_those_of_all() -> None:
    """Asked for alone and in another order, each hybrid is the same."""
    own = np.vstack([feature_rows(20), absurd_rows()])
    others, some = np.roll(own, 3, axis=0), np.array([5, 0, 126, 3])
    assert hybrids(own, others, some).tolist() == hybrids(own, others)[:, some].tolist()


@pytest.mark.parametrize("orders", [OFTEN, TWICE, ONCE, NOTHING], ids=["often", "twice", "once", "nothing"])
@pytest.mark.parametrize(("before", "after"), [(3, 70), (400, 0)])
def test_another_silence_is_the_same_customer_at_another_time(
    orders: tuple[Order, ...], before: int, after: int
) -> None:
    """History and all else as they were, after another silence: what extraction gives then."""
    others = seen(((0, 700), (9, 700)), after)
    expected = seen(orders, after)[0].tolist()
    everything_else = [name for name in GROUP_NAMES if name != "silence"]
    found = hybrid(seen(orders, before), others, *everything_else)
    if orders == NOTHING:
        # Age runs from the first order.
        assert found["customer_age_days"] == after
    assert list(found.values()) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("one", [OFTEN, TWICE, ONCE, NOTHING], ids=["often", "twice", "once", "nothing"])
@pytest.mark.parametrize("other", [OFTEN, TWICE, ONCE], ids=["often", "twice", "once"])
def test_values_are_consistent_with_counts(one: tuple[Order, ...], other: tuple[Order, ...]) -> None:
    """At another's value: revenue is the mean times purchases, and the first purchase and repeats make it up."""
    found = hybrid(seen(one, 10), seen(other, 20), "history")
    repeats, mean = found["repeat_purchase_count"], found["mean_purchase_value_minor"]
    assert mean == seen(other, 20)[0, FEATURE_INDEX["mean_purchase_value_minor"]]
    assert found["revenue_minor"] == pytest.approx(mean * (repeats + 1.0))
    parts = found["first_purchase_value_minor"] + repeats * found["mean_repeat_value_minor"]
    assert parts == pytest.approx(found["revenue_minor"])
    assert (found["mean_repeat_value_minor"] > 0.0) == (repeats > 0)
    if not repeats:
        assert (found["value_cv"], found["last_purchase_value_minor"]) == (0.0, mean)


def test_the_mean_of_repeats_stays_where_it_can() -> None:
    """Five purchases at the level of two: the first purchase takes the difference, but never less than it was."""
    rarely = hybrid(seen(TWICE, 10), seen(OFTEN, 10), "history")
    assert rarely["mean_repeat_value_minor"] == pytest.approx(5_000.0)
    assert rarely["first_purchase_value_minor"] == pytest.approx(2 * 4_800.0 - 5_000.0)
    often = hybrid(seen(OFTEN, 10), seen(TWICE, 10), "history")
    assert often["first_purchase_value_minor"] == 1_000.0
    assert often["mean_repeat_value_minor"] == pytest.approx((5 * 5_000.0 - 1_000.0) / 4)


def test_one_purchase_says_nothing_of_repeats() -> None:
    """At the level of who bought once, the spread of one's purchases stays: all are as much smaller."""
    own, found = seen(OFTEN, 10)[0], hybrid(seen(OFTEN, 10), seen(ONCE, 10), "history")
    for name in GROUPS["value"]:
        factor = 1.0 if name == "value_cv" else 2_500.0 / 4_800.0
        assert found[name] == pytest.approx(own[FEATURE_INDEX[name]] * factor), name
