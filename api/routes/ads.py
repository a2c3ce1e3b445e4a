"""Audiences as the scores want them, and the budget's split: both proposals."""

from __future__ import annotations

from datetime import date
from fractions import Fraction
from typing import Annotated

from fastapi import APIRouter, Query

from api.context import Shared
from api.overview import distrust_of, model_age, reached_ms
from api.problems import documented
from api.schemas.ads import (
    Audiences,
    BudgetAllocation,
    Campaigns,
    CampaignWeek,
)
from api.security import require
from api.spending import (
    MINIMUM_SIZE,
    allocation_view,
    audience_view,
    money_or_none,
    performance_view,
    standings_of,
    warnings_of,
)
from api.views import moment
from budget.asking import BudgetNow, split_budget
from clv.audiences import AUDIENCES
from clv.outcomes import rfc3339
from clv.rules import DAY_MS
from clv.settings import Settings
from storage.audiences import load_stand
from storage.campaigns import most_by_pacing, performance, weeks_of_segments
from storage.segment_budgets import budgets_at
from storage.sums import totals_by

_UNSETTLED_DAYS = 28
"""For which platforms go on correcting what purchases they count."""
_MOST_WEEKS = 3 * 104
_FIRST_MONDAY = date(1970, 1, 5).toordinal()
router = APIRouter(prefix="/api/meta-ads", tags=["ads"], dependencies=[require("read")])
Day = Annotated[str, Query(pattern=r"^\d{4}-\d{2}-\d{2}$", description="ISO 8601.", examples=["2026-11-01"])]


@router.get("/audiences", response_model=Audiences, responses=documented())
def audiences(context: Shared) -> Audiences:
    """Give each audience: its size by the scores, and where it stands at the platform."""
    platform = context.settings.ads_platform
    sizes = {total.segment: total.customers for total in totals_by(context.database, "segment")}
    everybody = sum(sizes.values())
    stands = {spec.name: load_stand(context.database, platform, spec.name) for spec in AUDIENCES}
    delivered = any(stand.status for stand in stands.values())
    return Audiences(
        items=[audience_view(context, spec, stands[spec.name], sizes, everybody) for spec in AUDIENCES],
        platform=platform,
        minimum_size=MINIMUM_SIZE,
        note="" if delivered else "nothing was delivered yet: these are the audiences that the scores ask for",
    )


@router.get("/campaigns", response_model=Campaigns, responses=documented("invalid-input"))
def campaigns(
    context: Shared,
    first_day: Annotated[Day | None, Query(alias="from")] = None,
    last_day: Annotated[Day | None, Query(alias="to")] = None,
) -> Campaigns:
    """Give what campaigns cost and brought in a period, by campaign, by segment and by week."""
    span = {"first_day": first_day or "", "last_day": last_day or "9999"}
    standings = standings_of(context)
    weeks = weeks_of_segments(context.database)
    return Campaigns(
        currency=context.currency.code,
        campaigns=[
            performance_view(context, each, standings) for each in performance(context.database, by="campaign", **span)
        ],
        segments=[
            performance_view(context, each, standings) for each in performance(context.database, by="segment", **span)
        ],
        weeks=[
            CampaignWeek(
                segment=segment,
                week_from=date.fromordinal(_FIRST_MONDAY + 7 * week).isoformat(),
                days=days,
                spend=context.currency.major(spend),
                value=context.currency.major(value),
            )
            for segment, week, days, spend, value in weeks[-_MOST_WEEKS:]
        ],
        final_until=rfc3339(context.now_ms - _UNSETTLED_DAYS * DAY_MS)[:10],
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
    known = standings_of(context)
    settings = context.settings
    found = split_budget(
        total_minor,
        known,
        weeks_of_segments(context.database),
        margin=settings.margin,
        horizon_days=settings.horizon_days,
        budget_days=settings.budget_days,
        most=most_by_pacing(context.database, settings),
        budgets={
            segment: BudgetNow(*stand)
            for segment, stand in budgets_at(context.database, settings.ads_platform, now_ms=context.now_ms).items()
        },
        distrust=distrust_of(context),
    )
    major = context.currency.major
    return BudgetAllocation(
        currency=context.currency.code,
        total_budget=major(total_minor),
        method=found.method,
        as_of=moment(reached_ms(context)),
        allocations=[allocation_view(context, each, total_minor) for each in found.segments],
        expected_gain=money_or_none(context, found.gain_minor),
        expected_gain_lower=money_or_none(context, found.gain_lower_minor),
        expected_gain_upper=money_or_none(context, found.gain_upper_minor),
        gain_probability=found.gain_probability,
        weeks_of_data=found.weeks,
        fallback=found.fallback or None,
        model_version=model_age(context).version,
        warnings=[*warnings_of(known), *found.warnings],
    )


def _total_minor(context: Shared, total_budget: float | None) -> int:
    if total_budget is None:
        settings: Settings = context.settings
        return int(Fraction(settings.budget_total) * 10**context.currency.digits)
    minor = context.currency.minor(total_budget, "query.total_budget")
    assert minor is not None
    return minor
