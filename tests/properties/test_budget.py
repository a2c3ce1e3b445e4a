"""Laws of every split: exact, within what is allowed, and best there."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import Bounds, LinearConstraint, minimize

from budget.allocation import KEPT, METHOD, allocate
from budget.proposal import Allocation, Position, Request
from budget.response import NoResponse, Response
from clv.budget import BASELINE
from clv.outcomes import SEGMENTS

levels = st.floats(2.0, 12.0)
elasticities = st.floats(0.1, 0.9)
totals = st.integers(1, 10**10)
POOR = NoResponse("no weeks")


@st.composite
def responses(draw: st.DrawFn) -> Response:
    """Draw curves that are known for certain."""
    level = np.array([draw(levels) for _ in SEGMENTS])
    elasticity = np.array([draw(elasticities) for _ in SEGMENTS])
    draws = np.tile(np.stack([level, elasticity], axis=-1), (50, 1, 1))
    return Response(level, elasticity, draws, 20)


@st.composite
def positions(draw: st.DrawFn) -> dict[str, Position]:
    """Draw where segments stand."""
    return {
        segment: Position(
            customers=draw(st.integers(0, 1_000)),
            mean_clv_minor=draw(st.integers(0, 10**6)),
            amount_minor=draw(st.none() | st.integers(0, 10**8)),
            minimum_minor=draw(st.integers(0, 10**6)),
            most_minor=draw(st.none() | st.integers(0, 10**9)),
            edits_last_hour=draw(st.integers(0, 5)),
            is_learning=draw(st.booleans()),
        )
        for segment in SEGMENTS
    }


def amounts(found: Allocation) -> list[int]:
    """Return the split."""
    return [each.amount_minor for each in found.segments]


@given(total=totals, where=positions(), response=responses() | st.just(POOR), distrust=st.sampled_from(["", "drift"]))
def test_a_split_is_whole_and_sums_to_the_total(
    total: int, where: dict[str, Position], response: Response | NoResponse, distrust: str
) -> None:
    """Whatever is asked, and however contradictory the bounds."""
    found = allocate(Request(total_minor=total, positions=where, distrust=distrust), response)  # type: ignore[arg-type]  # keys are segments
    assert sum(amounts(found)) == total
    assert min(amounts(found)) >= 0
    assert sum(each.baseline_minor for each in found.segments) == total
    assert sum(each.unconstrained_minor for each in found.segments) == total
    assert bool(found.fallback) == (found.method in (BASELINE, KEPT))


@given(total=st.integers(10**4, 10**8), response=responses(), step=st.floats(0.01, 0.9))
def test_steps_are_kept(total: int, response: Response, step: float) -> None:
    """No amount moves further than it may from what is spent now, and what holds it is named."""
    found = allocate(Request(total_minor=total, positions={}, most_step=step), response)
    for each in found.segments:
        assert abs(each.amount_minor - each.present_minor) <= each.present_minor * step + 1
        if each.amount_minor not in (each.unconstrained_minor, each.present_minor) and found.method == METHOD:
            assert len([s for s in found.segments if s.binding_constraint]) >= 1


@settings(deadline=None)
@given(total=st.integers(10**5, 10**7), response=responses())
def test_no_other_split_within_bounds_brings_more(total: int, response: Response) -> None:
    """A general solver finds nothing better; where nothing binds, one more unit brings the same everywhere."""
    found = allocate(Request(total_minor=total, positions={}), response)
    got = np.array(amounts(found), dtype=np.float64)
    present = np.array([each.present_minor for each in found.segments], dtype=np.float64)

    def lost(shares: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
        """Return what is to be made small."""
        return -float(response.value(shares * total).sum() / response.value(present).sum())

    sums_up = LinearConstraint(np.ones((1, 3)), 1.0, 1.0)
    bounds = Bounds(0.8 * present / total, 1.2 * present / total)
    other = minimize(lost, present / total, bounds=bounds, constraints=[sums_up], method="SLSQP")
    assert response.value(got).sum() >= response.value(np.asarray(other.x) * total).sum() * (1 - 1e-4)
    free = [
        each.marginal_return for each in found.segments if not each.binding_constraint and each.amount_minor > 1_000
    ]
    if found.method == METHOD and len(free) > 1:
        assert free == pytest.approx([free[0]] * len(free), rel=1e-2)


@given(total=st.integers(10**4, 10**7), response=responses(), factor=st.integers(2, 100))
def test_the_currency_does_not_matter(total: int, response: Response, factor: int) -> None:
    """All money times the same: the shares are the same, but for rounding."""
    level = response.log_level + (1 - response.elasticity) * np.log(factor)
    scaled = Response(level, response.elasticity, np.tile(np.stack([level, response.elasticity], -1), (50, 1, 1)), 20)
    first = allocate(Request(total_minor=total, positions={}), response)
    second = allocate(Request(total_minor=total * factor, positions={}), scaled)
    assert np.array(amounts(second)) == pytest.approx(np.array(amounts(first)) * factor, abs=2 * factor)


@given(total=st.integers(10**4, 10**7), response=responses())
def test_it_never_expects_less_than_the_baseline(total: int, response: Response) -> None:
    """The baseline is within its own bounds."""
    found = allocate(Request(total_minor=total, positions={}), response)
    assert found.gain_minor is not None
    assert found.gain_minor >= -1
