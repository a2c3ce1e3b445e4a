"""What is asked of a budget's split, what is answered, and what should be known of an answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from clv.budget import STRATEGIES, cac_target_minor
from clv.outcomes import SEGMENTS, Segment, SegmentSignal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from budget.response import Floats, Response

MOST_STEP = 0.2
"""Part by which an amount may move at a time: as in LightweightMMM; a larger one is said to begin the learning anew."""
INTERVAL = (5.0, 95.0)
_MONTH_DAYS = 30.4375


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """Where a segment stands.

    Parameters
    ----------
    customers, mean_clv_minor, lower_minor, upper_minor
        How many there are, and their mean CLV with its interval.
    amount_minor
        What is spent on it now; None where that is unknown.
    minimum_minor
        The platform's minimum.
    most_minor
        What pacing allows at most: the rest of the month's money; None for no such bound.
    edits_last_hour
        How often its budget was changed in the last hour.
    is_learning
        Whether its ad sets are in their learning phase: then it stays as it is.
    """

    customers: int = 0
    mean_clv_minor: int = 0
    lower_minor: int = 0
    upper_minor: int = 0
    amount_minor: int | None = None
    minimum_minor: int = 0
    most_minor: int | None = None
    edits_last_hour: int = 0
    is_learning: bool = False


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked: a total to split, in minor units, and on what grounds it may be done.

    Parameters
    ----------
    most_step
        Part of the present amount by which one may move, 0-1.
    margin
        Contribution margin, 0-1.
    horizon_days
        Of the CLV.
    distrust
        Why the models should not move money now, in words; empty where they may.
    """

    total_minor: int
    positions: Mapping[Segment, Position]
    most_step: float = MOST_STEP
    margin: float = 1.0
    horizon_days: int = 90
    distrust: str = ""


class SegmentAllocation(msgspec.Struct, frozen=True, kw_only=True):
    """A segment's part; money in minor units; intervals are of 90 %.

    ``gain`` is the CLV expected beyond what the baseline would bring; ``marginal_return`` what one more unit of money
    would bring; None where no curve says. ``binding_constraint`` says in words what holds the amount; empty for none.
    """

    segment: Segment
    customers: int
    mean_clv_minor: int
    lower_minor: int
    upper_minor: int
    baseline_minor: int
    present_minor: int
    amount_minor: int
    unconstrained_minor: int
    binding_constraint: str
    max_cac_minor: int
    expected_new_customers: float | None
    expected_value_minor: int | None
    gain_minor: int | None
    gain_lower_minor: int | None
    gain_upper_minor: int | None
    marginal_return: float | None
    ltv_to_cac: float | None
    payback_months: float | None
    strategy: str


class Allocation(msgspec.Struct, frozen=True, kw_only=True):
    """A proposed split. ``fallback`` says why it is not the optimiser's; empty where it is."""

    total_minor: int
    method: str
    segments: tuple[SegmentAllocation, ...]
    gain_minor: int | None
    gain_lower_minor: int | None
    gain_upper_minor: int | None
    gain_probability: float | None
    weeks: int
    warnings: tuple[str, ...]
    fallback: str

    def signals(self) -> list[SegmentSignal]:
        """Return it as budget signals have it."""
        total = max(self.total_minor, 1)
        return [
            SegmentSignal(
                segment=each.segment,
                customers=each.customers,
                total_clv_minor=each.mean_clv_minor * each.customers,
                mean_clv_minor=each.mean_clv_minor,
                share=each.amount_minor / total,
                amount_minor=each.amount_minor,
                baseline_amount_minor=each.baseline_minor,
                cac_target_minor=each.max_cac_minor,
                strategy=each.strategy,
                binding_constraint=each.binding_constraint,
            )
            for each in self.segments
        ]


class Bounds(msgspec.Struct):
    """What each amount may be, whole minor units, and what to call either end."""

    low: list[int]
    high: list[int]
    low_name: list[str]
    high_name: list[str]


class Split(msgspec.Struct, frozen=True):
    """Amounts of the segments in their order, whole minor units.

    The baseline, the proposal, what is spent now, and what would be best without any bound.
    """

    request: Request
    baseline: list[int]
    amounts: list[int]
    present: list[int]
    unconstrained: list[int]
    bounds: Bounds | None = None


def gains(response: Response, amounts: Sequence[int], against: Sequence[int]) -> Floats:
    """Return (n, 3) what amounts bring beyond others, in each of the response's worlds."""
    return response.values_drawn(_floats(amounts)) - response.values_drawn(_floats(against))


def describe(
    split: Split,
    response: Response | None,
    *,
    method: str,
    warnings: Sequence[str] = (),
    fallback: str = "",
) -> Allocation:
    """Say of a split what should be known of it."""
    by_segment = gains(response, split.amounts, split.baseline) if response else None
    drawn = by_segment.sum(axis=1) if by_segment is not None else None
    low, high = np.percentile(drawn, INTERVAL) if drawn is not None else (None, None)
    middle = None
    if response:
        middle = response.value(_floats(split.amounts)).sum() - response.value(_floats(split.baseline)).sum()
    has_moved = split.amounts != split.baseline
    return Allocation(
        total_minor=split.request.total_minor,
        method=method,
        segments=tuple(_segment(split, i, response, by_segment) for i in range(len(SEGMENTS))),
        gain_minor=_rounded(middle),
        gain_lower_minor=_rounded(low),
        gain_upper_minor=_rounded(high),
        gain_probability=float(np.mean(drawn > 0)) if drawn is not None and has_moved else None,
        weeks=response.weeks if response else 0,
        warnings=tuple(warnings),
        fallback=fallback,
    )


def _segment(split: Split, i: int, response: Response | None, by_segment: Floats | None) -> SegmentAllocation:
    segment, request, amount = SEGMENTS[i], split.request, split.amounts[i]
    position = request.positions.get(segment, Position())
    max_cac = cac_target_minor(position.mean_clv_minor, request.margin)
    value = gain = marginal = new = low = high = None
    if response is not None and by_segment is not None:
        value = float(response.value(_floats(split.amounts))[i])
        gain = value - float(response.value(_floats(split.baseline))[i])
        marginal = float(response.marginal(_floats(split.amounts))[i]) if amount else None
        new = value / position.mean_clv_minor if position.mean_clv_minor else None
        low, high = np.percentile(by_segment[:, i], INTERVAL)
    # Without curves a customer is taken to cost what one may.
    cac = amount / new if new else float(max_cac)
    monthly = position.mean_clv_minor * request.margin / (request.horizon_days / _MONTH_DAYS)
    return SegmentAllocation(
        segment=segment,
        customers=position.customers,
        mean_clv_minor=position.mean_clv_minor,
        lower_minor=position.lower_minor,
        upper_minor=position.upper_minor,
        baseline_minor=split.baseline[i],
        present_minor=split.present[i],
        amount_minor=amount,
        unconstrained_minor=split.unconstrained[i],
        binding_constraint=_binding(split.bounds, amount, i),
        max_cac_minor=max_cac,
        expected_new_customers=round(new, 2) if new is not None else None,
        expected_value_minor=_rounded(value),
        gain_minor=_rounded(gain),
        gain_lower_minor=_rounded(low),
        gain_upper_minor=_rounded(high),
        marginal_return=marginal,
        ltv_to_cac=round(position.mean_clv_minor / cac, 2) if cac and position.mean_clv_minor else None,
        payback_months=round(cac / monthly, 2) if cac and monthly else None,
        strategy=STRATEGIES[segment],
    )


def _binding(bounds: Bounds | None, amount: int, i: int) -> str:
    if bounds is None:
        return ""
    if amount <= bounds.low[i]:
        return bounds.low_name[i]
    return bounds.high_name[i] if amount >= bounds.high[i] else ""


def _floats(amounts: Sequence[int]) -> Floats:
    return np.array(amounts, dtype=np.float64)


def _rounded(value: float | None) -> int | None:
    return None if value is None else round(float(value))
