"""Splits of a budget: what holds them, what they say, and when they are not made."""

from __future__ import annotations

import numpy as np
import pytest

from budget.allocation import KEPT, METHOD, allocate
from budget.proposal import Allocation, Position, Request
from budget.response import NoResponse, Response
from clv.budget import BASELINE
from clv.outcomes import SEGMENTS

STEEP = ("Low-CLV",)


def response(elasticity: tuple[float, float, float] = (0.3, 0.5, 0.8), *, doubt: float = 0.0) -> Response:
    """Return curves, known up to a doubt about their levels."""
    level, slopes = np.array([7.0, 6.0, 5.0]), np.array(elasticity)
    chance = np.random.default_rng(1)
    worlds = level + chance.normal(0, doubt, (400, 3)) if doubt else np.tile(level, (400, 1))
    return Response(level, slopes, np.stack([worlds, np.tile(slopes, (400, 1))], axis=-1), 30)


def split(found: Allocation) -> list[int]:
    """Return the amounts."""
    return [each.amount_minor for each in found.segments]


def where(**each: dict[str, object]) -> dict[str, Position]:
    """Return where segments stand, by a short name."""
    names = dict(zip(("high", "growth", "low"), SEGMENTS, strict=True))
    return {names[short]: Position(**given) for short, given in each.items()}  # type: ignore[arg-type]  # fields by name


def asked(positions: dict[str, Position] | None = None, total: int = 1_000_000, **others: object) -> Request:
    """Return a request."""
    return Request(total_minor=total, positions=positions or {}, **others)  # type: ignore[arg-type]  # fields by name


def test_without_curves_it_is_the_rule_and_says_why() -> None:
    """50/35/15 exact to the cent, with the reason."""
    found = allocate(asked(total=1_000_001), NoResponse("no weeks"))
    assert (split(found), found.method, found.fallback) == ([500_001, 350_000, 150_000], BASELINE, "no weeks")
    assert found.gain_minor is None


def test_a_split_without_bounds_says_what_pacing_would_not_allow() -> None:
    """The rule stays the rule, with a warning."""
    found = allocate(asked(where(low={"most_minor": 100_000}, high={"most_minor": 500_000})), NoResponse("no weeks"))
    assert split(found) == [500_000, 350_000, 150_000]
    assert found.warnings == (
        "Low-CLV: 150000 minor units are more than the 100000 that are left of the period's money",
    )


def test_money_moves_by_a_step_towards_where_it_brings_more() -> None:
    """No further than a fifth, with what holds it named, and what would be best without."""
    found = allocate(asked(), response())
    assert found.method == METHOD
    named = {each.segment: (each.amount_minor, each.binding_constraint) for each in found.segments}
    assert named["Low-CLV"] == (180_000, "at most 20% more at a time")
    assert sum(each.amount_minor for each in found.segments) == 1_000_000
    best = {each.segment: each.unconstrained_minor for each in found.segments}
    assert best["Low-CLV"] > 180_000
    assert found.gain_minor is not None
    assert found.gain_minor > 0
    assert found.gain_probability == 1.0


def test_a_gain_that_is_not_likely_is_not_chased() -> None:
    """What is spent now stays, and the probability is said."""
    found = allocate(asked(), response((0.5, 0.51, 0.52), doubt=3.0))
    assert (found.method, split(found)) == (KEPT, [500_000, 350_000, 150_000])
    assert "likely, 80% is asked for" in found.fallback


def test_a_model_that_drifts_moves_no_money() -> None:
    """The present split stays, scaled to the total."""
    present = where(high={"amount_minor": 100}, growth={"amount_minor": 100}, low={"amount_minor": 200})
    found = allocate(asked(present, distrust="the champion drifts"), response())
    assert (split(found), found.fallback) == ([250_000, 250_000, 500_000], "the champion drifts")


@pytest.mark.parametrize(
    ("position", "amount", "says"),
    [
        ({"is_learning": True}, 150_000, "its ad sets are learning"),
        ({"edits_last_hour": 4}, 150_000, "changed four times within the hour"),
        ({"most_minor": 160_000}, 160_000, "what is left of the period's money"),
        ({"minimum_minor": 175_000}, 180_000, "at most 20% more at a time"),
    ],
    ids=["learning", "edits", "pacing", "minimum"],
)
def test_what_may_not_change_does_not(position: dict[str, object], amount: int, says: str) -> None:
    """Each guard holds its segment and is named."""
    found = allocate(asked(where(low=position)), response())
    low = found.segments[2]
    assert (low.amount_minor, low.binding_constraint) == (amount, says)


def test_a_minimum_holds_from_below() -> None:
    """Where money would leave, it stays at the platform's minimum."""
    found = allocate(asked(where(high={"minimum_minor": 450_000})), response())
    assert (found.segments[0].amount_minor, found.segments[0].binding_constraint) == (
        450_000,
        "the platform's minimum",
    )


def test_bounds_that_contradict_each_other_are_given_up_in_order() -> None:
    """Steps first, with a warning; the minimum is kept."""
    found = allocate(asked(where(low={"minimum_minor": 400_000})), response((0.8, 0.5, 0.3)))
    assert found.segments[2].amount_minor == 400_000
    assert found.warnings == ("steps of at most 20% cannot be kept with a total of 1000000 minor units: given up",)


def test_what_is_known_of_a_segment_is_said() -> None:
    """CAC target, customers to be won, LTV to CAC and payback, from the curve and the CLV."""
    known = where(
        high={"customers": 10, "mean_clv_minor": 50_000, "lower_minor": 40_000, "upper_minor": 60_000},
        growth={"customers": 20, "mean_clv_minor": 20_000},
        low={"customers": 30, "mean_clv_minor": 5_000},
    )
    found = allocate(asked(known), response())
    high = found.segments[0]
    assert high.max_cac_minor == 15_000
    assert high.expected_value_minor is not None
    assert high.expected_value_minor == round(np.exp(7.0) * high.amount_minor**0.3)
    assert high.expected_new_customers == pytest.approx(high.expected_value_minor / 50_000, abs=0.01)
    cac = high.amount_minor / (np.exp(7.0) * high.amount_minor**0.3 / 50_000)
    assert high.ltv_to_cac == pytest.approx(50_000 / cac, abs=0.01)
    assert high.payback_months == pytest.approx(cac / (50_000 / (90 / 30.4375)), rel=0.01)
    assert [signal.amount_minor for signal in found.signals()] == split(found)
    assert sum(signal.share for signal in found.signals()) == pytest.approx(1)
