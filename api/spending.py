"""Audiences, campaigns and the budget's split as the API shows them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from api.schemas.ads import Allocation, Audience, CampaignPerformance
from api.views import moment
from budget.asking import Standing
from clv.budget import BASELINE_SHARES, cac_target_minor
from clv.outcomes import SEGMENTS, Segment
from storage.sums import totals_by

if TYPE_CHECKING:
    from api.context import Context
    from budget.proposal import SegmentAllocation
    from clv.audiences import AudienceSpec
    from storage.audiences import Stand
    from storage.campaigns import Performance

MINIMUM_SIZE = 100
"""Of an audience that others can be found by, at Meta."""
_MONTH_DAYS = 30.4375


def audience_view(
    context: Context, spec: AudienceSpec, stand: Stand, sizes: dict[str, int], everybody: int
) -> Audience:
    """Return an audience: its size by the scores, and where it stands at the platform."""
    counts = json.loads(stand.counts)
    counted = int(counts.get("wanted", 0))
    size = sizes.get(spec.segment, 0) if spec.segment else counted if spec.label == "AT_RISK" else everybody
    ratio = spec.lookalike.ratio if spec.lookalike else None
    lookalike = f"{ratio:.0%} by value" if ratio and spec.lookalike and spec.lookalike.is_value_based else None
    return Audience(
        name=spec.name,
        segment=spec.segment,
        size=size,
        strategy=spec.purpose,
        lookalike=lookalike or (f"{ratio:.0%}" if ratio else None),
        status=stand.status or ("wanted" if size >= MINIMUM_SIZE else "too_small"),
        detail=stand.detail,
        present=int(counts.get("present", 0)),
        rejected=counts.get("rejected", {}),
        waiting_until=moment(stand.waiting_until_ms) if stand.waiting_until_ms > context.now_ms else None,
        synced_at=moment(stand.synced_ms),
    )


def performance_view(context: Context, found: Performance, standings: dict[Segment, Standing]) -> CampaignPerformance:
    """Return what a campaign or a segment cost and brought."""
    major, margin = context.currency.major, context.settings.margin
    standing = next((s for name, s in standings.items() if name == found.segment), None)
    mean_clv = standing.mean_minor(standing.clv_minor) if standing else 0
    cac = found.spend_minor / found.new_customers if found.new_customers else None
    monthly = mean_clv * margin / (context.settings.horizon_days / _MONTH_DAYS)
    return CampaignPerformance(
        key=found.key,
        name=found.name,
        segment=found.segment or None,
        spend=major(found.spend_minor),
        impressions=found.impressions,
        clicks=found.clicks,
        purchases=found.purchases,
        new_customers=found.new_customers,
        value=major(found.value_minor),
        roas=round(found.value_minor / found.spend_minor, 4) if found.spend_minor else None,
        cac=major(round(cac)) if cac is not None else None,
        cac_target=major(cac_target_minor(mean_clv, margin)) if mean_clv else None,
        ltv_to_cac=round(mean_clv / cac, 2) if cac and mean_clv else None,
        payback_months=round(cac / monthly, 2) if cac is not None and monthly else None,
        first_day=found.first_day,
        last_day=found.last_day,
    )


def allocation_view(context: Context, each: SegmentAllocation, total_minor: int) -> Allocation:
    """Return a segment's part of the budget."""
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
        expected_value=money_or_none(context, each.expected_value_minor),
        expected_gain=money_or_none(context, each.gain_minor),
        expected_gain_lower=money_or_none(context, each.gain_lower_minor),
        expected_gain_upper=money_or_none(context, each.gain_upper_minor),
        marginal_return=each.marginal_return,
        ltv_to_cac=each.ltv_to_cac,
        payback_months=each.payback_months,
        strategy=each.strategy,
        binding_constraint=each.binding_constraint,
    )


def standings_of(context: Context) -> dict[Segment, Standing]:
    """Return each segment's customers and the sums of their CLV."""
    totals = {total.segment: total for total in totals_by(context.database, "segment")}
    return {
        segment: Standing(found.customers, found.clv_minor, found.clv_lower_minor, found.clv_upper_minor)
        for segment in SEGMENTS
        if (found := totals.get(segment)) is not None
    }


def warnings_of(known: dict[Segment, Standing]) -> list[str]:
    """Say what is missing for the split to mean something."""
    if not any(each.customers for each in known.values()):
        return ["no customer is in a segment yet: CAC targets are 0 until the first cut-offs are published"]
    empty = [segment for segment in SEGMENTS if segment not in known or not known[segment].customers]
    return [f"{segment} has no customers: its share is the rule's alone" for segment in empty]


def money_or_none(context: Context, minor: int | None) -> float | None:
    """Return minor units in the major unit; None stays."""
    return None if minor is None else context.currency.major(minor)
