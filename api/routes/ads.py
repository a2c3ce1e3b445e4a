"""Audiences as the scores want them, and the budget's split: both proposals."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated

from fastapi import APIRouter, Query

from api.context import Context, Shared
from api.overview import distrust_of, model_age, reached_ms
from api.problems import documented
from api.schemas.ads import Allocation, Audience, Audiences, BudgetAllocation
from api.security import require
from api.views import moment
from budget.asking import Standing, split_budget
from budget.proposal import SegmentAllocation
from clv.budget import BASELINE_SHARES, STRATEGIES
from clv.outcomes import SEGMENTS, Segment
from clv.settings import Settings
from storage.campaigns import weeks_of_segments
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
    known = _standings(context)
    settings = context.settings
    found = split_budget(
        total_minor,
        known,
        weeks_of_segments(context.database),
        margin=settings.margin,
        horizon_days=settings.horizon_days,
        distrust=distrust_of(context),
    )
    major = context.currency.major
    return BudgetAllocation(
        currency=context.currency.code,
        total_budget=major(total_minor),
        method=found.method,
        as_of=moment(reached_ms(context)),
        allocations=[_allocation(context, each, total_minor) for each in found.segments],
        expected_gain=_money(context, found.gain_minor),
        expected_gain_lower=_money(context, found.gain_lower_minor),
        expected_gain_upper=_money(context, found.gain_upper_minor),
        gain_probability=found.gain_probability,
        weeks_of_data=found.weeks,
        fallback=found.fallback or None,
        model_version=model_age(context).version,
        warnings=[*_warnings(known), *found.warnings],
    )


def _allocation(context: Context, each: SegmentAllocation, total_minor: int) -> Allocation:
    major = context.currency.major
    new = each.expected_new_customers
    if new is None:  # if each costs what one may
        new = each.amount_minor // each.max_cac_minor if each.max_cac_minor else 0
    return Allocation(
        segment=each.segment,
        share=each.amount_minor / total_minor if total_minor else float(BASELINE_SHARES[each.segment]),
        amount=major(each.amount_minor),
        baseline_amount=major(each.baseline_minor),
        delta=major(each.amount_minor - each.baseline_minor),
        present_amount=major(each.present_minor),
        unconstrained_amount=major(each.unconstrained_minor),
        cac_target=major(each.max_cac_minor),
        customers=each.customers,
        mean_clv=major(each.mean_clv_minor),
        mean_clv_lower=major(each.lower_minor),
        mean_clv_upper=major(each.upper_minor),
        expected_new_customers=int(new),
        expected_value=_money(context, each.expected_value_minor),
        expected_gain=_money(context, each.gain_minor),
        expected_gain_lower=_money(context, each.gain_lower_minor),
        expected_gain_upper=_money(context, each.gain_upper_minor),
        marginal_return=each.marginal_return,
        ltv_to_cac=each.ltv_to_cac,
        payback_months=each.payback_months,
        strategy=each.strategy,
        binding_constraint=each.binding_constraint,
    )


def _money(context: Context, minor: int | None) -> float | None:
    return None if minor is None else context.currency.major(minor)


def _standings(context: Context) -> dict[Segment, Standing]:
    totals = {total.segment: total for total in totals_by(context.database, "segment")}
    return {
        segment: Standing(found.customers, found.clv_minor, found.clv_lower_minor, found.clv_upper_minor)
        for segment in SEGMENTS
        if (found := totals.get(segment)) is not None
    }


def _total_minor(context: Shared, total_budget: float | None) -> int:
    if total_budget is None:
        settings: Settings = context.settings
        return int(Fraction(settings.budget_total) * 10**context.currency.digits)
    minor = context.currency.minor(total_budget, "query.total_budget")
    assert minor is not None
    return minor


def _warnings(known: dict[Segment, Standing]) -> list[str]:
    if not any(each.customers for each in known.values()):
        return ["no customer is in a segment yet: CAC targets are 0 until the first cut-offs are published"]
    empty = [segment for segment in SEGMENTS if segment not in known or not known[segment].customers]
    return [f"{segment} has no customers: its share is the rule's alone" for segment in empty]
