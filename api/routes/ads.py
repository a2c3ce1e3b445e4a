"""Audiences as the scores want them, and the budget's split: both proposals."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated

from fastapi import APIRouter, Query

from api.context import Shared
from api.overview import reached_ms
from api.problems import documented
from api.schemas.ads import Allocation, Audience, Audiences, BudgetAllocation
from api.security import require
from api.views import moment
from clv.budget import BASELINE, STRATEGIES, baseline_signals
from clv.outcomes import SEGMENTS, Segment
from clv.settings import Settings
from storage.sums import totals_by

router = APIRouter(prefix="/api/meta-ads", tags=["ads"], dependencies=[require("read")])
MINIMUM_SIZE = 100
"""Of an audience that others can be found by, at Meta."""
_NAMES: dict[Segment, str] = {"High-CLV": "CLV tier A", "Growth-Potential": "CLV tier B", "Low-CLV": "CLV tier C"}
_LOOKALIKES: dict[Segment, str | None] = {
    "High-CLV": "1 % by value",
    "Growth-Potential": "2 %",
    "Low-CLV": None,
}


@router.get("/audiences", response_model=Audiences, responses=documented())
def audiences(context: Shared) -> Audiences:
    """Give the audience of each segment, with its size now; names say nothing of anybody's finances."""
    sizes = {total.segment: total.customers for total in totals_by(context.database, "segment")}
    return Audiences(
        items=[
            Audience(
                name=_NAMES[segment],
                segment=segment,
                size=sizes.get(segment, 0),
                strategy=STRATEGIES[segment],
                lookalike=_LOOKALIKES[segment],
                status="wanted" if sizes.get(segment, 0) >= MINIMUM_SIZE else "too_small",
            )
            for segment in SEGMENTS
        ],
        minimum_size=MINIMUM_SIZE,
        note="no ad account is connected: these are the audiences that the scores ask for",
    )


@router.get("/budget-allocation", response_model=BudgetAllocation, responses=documented("invalid-input"))
def budget_allocation(
    context: Shared,
    total_budget: Annotated[
        float | None,
        Query(ge=0, lt=10**12, allow_inf_nan=False, description="In the currency; CLV_BUDGET_TOTAL if left out."),
    ] = None,
) -> BudgetAllocation:
    """Split a budget over the segments, to the cent, and say what a new customer of each may cost."""
    total_minor = _total_minor(context, total_budget)
    totals = {total.segment: total for total in totals_by(context.database, "segment")}
    known: dict[Segment, tuple[int, int]] = {
        segment: (totals[segment].customers, totals[segment].clv_minor) for segment in SEGMENTS if segment in totals
    }
    signals = baseline_signals(total_minor, known, margin=context.settings.margin)
    major = context.currency.major
    return BudgetAllocation(
        currency=context.currency.code,
        total_budget=major(total_minor),
        method=BASELINE,
        as_of=moment(reached_ms(context)),
        allocations=[
            Allocation(
                segment=signal.segment,
                share=signal.share,
                amount=major(signal.amount_minor),
                baseline_amount=major(signal.baseline_amount_minor),
                delta=major(signal.amount_minor - signal.baseline_amount_minor),
                cac_target=major(signal.cac_target_minor),
                customers=signal.customers,
                mean_clv=major(signal.mean_clv_minor),
                expected_new_customers=signal.amount_minor // signal.cac_target_minor if signal.cac_target_minor else 0,
                strategy=signal.strategy,
                binding_constraint=signal.binding_constraint,
            )
            for signal in signals
        ],
        warnings=_warnings(known),
    )


def _total_minor(context: Shared, total_budget: float | None) -> int:
    if total_budget is None:
        settings: Settings = context.settings
        return int(Fraction(settings.budget_total) * 10**context.currency.digits)
    minor = context.currency.minor(total_budget, "query.total_budget")
    assert minor is not None
    return minor


def _warnings(known: dict[Segment, tuple[int, int]]) -> list[str]:
    if not any(count for count, _ in known.values()):
        return ["no customer is in a segment yet: CAC targets are 0 until the first cut-offs are published"]
    empty = [segment for segment in SEGMENTS if not known.get(segment, (0, 0))[0]]
    return [f"{segment} has no customers: its share is the rule's alone" for segment in empty]
