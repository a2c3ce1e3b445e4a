"""The best split of a budget over the segments within what is allowed, and everything that should be known of it.

The sum of concave curves under a sum and bounds has its maximum where every amount that no bound holds brings the same
at the margin (Boyd and Vandenberghe 2004, Convex Optimization, example 5.2): one number is looked for, by Brent's
method.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import brentq

from budget.proposal import Allocation, Bounds, Position, Request, Split, describe, gains
from budget.response import NoResponse, Response
from clv.budget import BASELINE, BASELINE_SHARES, split_exactly
from clv.outcomes import SEGMENTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from budget.response import Floats

METHOD = "response curves, within bounds"
KEPT = "present split kept"
LEAST_CERTAINTY = 0.8
"""Probability of a gain below which the present split stays."""
MOST_EDITS = 4
"""Changes of an ad set's budget an hour that Meta takes."""


def allocate(request: Request, response: Response | NoResponse) -> Allocation:
    """Split a budget.

    Returns
    -------
    Allocation
        Amounts are not negative and sum to the total exactly. Without curves, the baseline; where the models are
        distrusted or a gain is not likely enough, what is spent now (the baseline where that is unknown).

    Notes
    -----
    Bounds that cannot be kept together are given up in this order, each with a warning: steps, pacing, minima, frozen
    amounts.
    """
    warnings: list[str] = []
    baseline = split_exactly(request.total_minor, BASELINE_SHARES)
    base = [baseline[segment] for segment in SEGMENTS]
    present = _present(request, base)
    if isinstance(response, NoResponse):
        rule = Split(request, base, base, present, base)
        said = _beyond_pacing(request, base)
        return describe(rule, None, method=BASELINE, warnings=said, fallback=response.reason)
    total = request.total_minor
    free = _best(response, total, Bounds([0] * 3, [total] * 3, [""] * 3, [""] * 3))
    kept = Split(request, base, present, present, free)
    said = _beyond_pacing(request, present)
    if request.distrust:
        return describe(kept, response, method=KEPT, warnings=said, fallback=request.distrust)
    bounds = _bounds(request, present, warnings)
    amounts = _best(response, total, bounds)
    certainty = float(np.mean(gains(response, amounts, present).sum(axis=1) > 0))
    # Where there is no money for the present split, it cannot stay.
    if amounts != present and certainty < LEAST_CERTAINTY and not said:
        says = f"a gain over the present split is only {certainty:.0%} likely, {LEAST_CERTAINTY:.0%} is asked for"
        return describe(kept, response, method=KEPT, warnings=said, fallback=says)
    found = Split(request, base, amounts, present, free, bounds)
    return describe(found, response, method=METHOD, warnings=warnings)


def _beyond_pacing(request: Request, amounts: Sequence[int]) -> list[str]:
    """Say which amounts, of a split that is made without bounds, are more than pacing allows."""
    most = [request.positions.get(segment, Position()).most_minor for segment in SEGMENTS]
    return [
        f"{segment}: {amount} minor units are more than the {limit} that are left of the period's money"
        for segment, amount, limit in zip(SEGMENTS, amounts, most, strict=True)
        if limit is not None and amount > limit
    ]


def _present(request: Request, base: list[int]) -> list[int]:
    """Return what is spent now, scaled to the total; the baseline where a segment's is unknown."""
    known = [request.positions.get(segment, Position()).amount_minor for segment in SEGMENTS]
    amounts = [each for each in known if each is not None]
    if len(amounts) < len(known) or not sum(amounts):
        return base
    shares = {segment: Fraction(amount, sum(amounts)) for segment, amount in zip(SEGMENTS, amounts, strict=True)}
    split = split_exactly(request.total_minor, shares)
    return [split[segment] for segment in SEGMENTS]


def _bounds(request: Request, present: list[int], warnings: list[str]) -> Bounds:
    """Return the bounds that can be kept together, giving up the least important first."""
    total = request.total_minor
    kept = ["step", "pacing", "minimum", "frozen"]
    words = {
        "step": f"steps of at most {request.most_step:.0%}",
        "pacing": "what pacing allows",
        "minimum": "the platform's minima",
        "frozen": "segments that may not be changed now",
    }
    while True:
        bounds = _bounds_of(request, present, kept)
        crossed = any(low > high for low, high in zip(bounds.low, bounds.high, strict=True))
        if not crossed and sum(bounds.low) <= total <= sum(bounds.high):
            return bounds
        given_up = kept.pop(0)
        warnings.append(f"{words[given_up]} cannot be kept with a total of {total} minor units: given up")


def _bounds_of(request: Request, present: list[int], kept: Sequence[str]) -> Bounds:
    total = request.total_minor
    found = Bounds([], [], [], [])
    for segment, amount in zip(SEGMENTS, present, strict=True):
        position = request.positions.get(segment, Position())
        low, high, low_name, high_name = 0, total, "", ""
        if "step" in kept:
            least = -int(-amount * Fraction(str(1 - request.most_step)) // 1)
            most = int(amount * Fraction(str(1 + request.most_step)))
            low, low_name = least, f"at most {request.most_step:.0%} less at a time"
            high, high_name = most, f"at most {request.most_step:.0%} more at a time"
        if "pacing" in kept and position.most_minor is not None and position.most_minor < high:
            high, high_name = position.most_minor, "what is left of the period's money"
        if "minimum" in kept and position.minimum_minor > low:
            low, low_name = position.minimum_minor, "the platform's minimum"
        if "frozen" in kept and (position.is_learning or position.edits_last_hour >= MOST_EDITS):
            why = "its ad sets are learning" if position.is_learning else "changed four times within the hour"
            low = high = amount
            low_name = high_name = why
        found.low.append(low)
        found.high.append(high)
        found.low_name.append(low_name)
        found.high_name.append(high_name)
    return found


def _best(response: Response, total_minor: int, bounds: Bounds) -> list[int]:
    """Return the whole amounts within bounds, summing to the total, that bring most."""
    low, high = np.array(bounds.low, dtype=np.float64), np.array(bounds.high, dtype=np.float64)

    def amounts(log_price: float) -> Floats:
        """Return what each segment takes when a unit of money must bring so much."""
        wanted = (response.log_level + np.log(response.elasticity) - log_price) / (1 - response.elasticity)
        taken: Floats = np.clip(np.exp(np.minimum(wanted, 50.0)), low, high)
        return taken

    if sum(bounds.low) == total_minor:
        return list(bounds.low)
    if sum(bounds.high) == total_minor:
        return list(bounds.high)
    price = brentq(lambda log_price: float(amounts(log_price).sum()) - total_minor, -60.0, 60.0, xtol=1e-13)
    return _whole(amounts(float(price)), total_minor, bounds)


def _whole(amounts: Floats, total_minor: int, bounds: Bounds) -> list[int]:
    """Round to whole units within bounds that sum to the total: largest remainder, earlier segments first."""
    floors = [max(int(np.floor(amount + 1e-6)), low) for amount, low in zip(amounts, bounds.low, strict=True)]
    order = sorted(range(len(floors)), key=lambda i: float(amounts[i]) - floors[i], reverse=True)
    missing = total_minor - sum(floors)
    while missing:
        step = 1 if missing > 0 else -1
        for i in order if step > 0 else reversed(order):
            limit = bounds.high[i] if step > 0 else bounds.low[i]
            if missing and floors[i] * step < limit * step:
                floors[i] += step
                missing -= step
    return floors
