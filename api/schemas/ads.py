"""Audiences and the budget's split."""

from __future__ import annotations

from pydantic import BaseModel, Field

from api.schemas.customers import Moment, Money, SegmentName, Share


class Audience(BaseModel):
    """An audience: its size by the scores, and where it stands at the platform."""

    name: str
    segment: SegmentName | None = Field(description="Null for audiences that are not a segment's.")
    size: int = Field(description="Customers who belong by their scores, whether or not they can be told of.")
    strategy: str
    lookalike: str | None = Field(description="Which part of a population to look for, null for none.")
    status: str = Field(
        description="`wanted`: not delivered yet; `too_small`: below the platform's minimum; `ready`, `sending`, "
        "`replacing`, `waiting`, `asks` (for leave to move much), `refused`, `failed`: at the platform."
    )
    detail: str = Field(description="Why, in words; empty for nothing.")
    present: int = Field(description="Members that the platform has taken.")
    rejected: dict[str, int] = Field(description="Customers who belong and are not there, by reason.")
    waiting_until: Moment | None
    synced_at: Moment | None


class Audiences(BaseModel):
    """All audiences."""

    items: list[Audience]
    platform: str
    minimum_size: int
    note: str


class CampaignPerformance(BaseModel):
    """What a campaign, or all of a segment, cost and brought, by the platform's count."""

    key: str
    name: str
    segment: str | None
    spend: Money
    impressions: int
    clicks: int
    purchases: int
    new_customers: int
    value: Money
    roas: float | None = Field(description="Value over spend.")
    cac: Money | None = Field(description="Spend over new customers.")
    cac_target: Money | None = Field(description="30 % of the segment's mean CLV's margin.")
    ltv_to_cac: float | None = Field(description="The segment's mean CLV over the CAC.")
    payback_months: float | None = Field(description="CAC over the CLV's margin a month.")
    first_day: str
    last_day: str


class CampaignWeek(BaseModel):
    """A segment's week, from Monday."""

    segment: str
    week_from: str
    days: int = Field(description="Of the week that figures are known for.")
    spend: Money
    value: Money


class Campaigns(BaseModel):
    """What campaigns cost and brought."""

    currency: str
    campaigns: list[CampaignPerformance]
    segments: list[CampaignPerformance]
    weeks: list[CampaignWeek]
    final_until: str = Field(description="Platforms go on correcting later days.")


class Allocation(BaseModel):
    """A segment's part of the budget."""

    segment: SegmentName
    share: Share
    amount: Money
    baseline_amount: Money
    delta: Money
    present_amount: Money = Field(description="What was spent last week, scaled to the total; else the baseline.")
    unconstrained_amount: Money = Field(description="What would be best without any bound.")
    cac_target: Money
    customers: int
    mean_clv: Money
    mean_clv_lower: Money
    mean_clv_upper: Money
    expected_new_customers: int = Field(
        description="By the response curve; without one, the amount over the CAC target: if each costs what it may."
    )
    expected_value: Money | None = Field(description="CLV that the amount is expected to bring; null without a curve.")
    expected_gain: float | None = Field(description="Beyond what the baseline would bring.")
    expected_gain_lower: float | None = Field(description="5th percentile.")
    expected_gain_upper: float | None = Field(description="95th percentile.")
    marginal_return: float | None = Field(description="What one more unit of money would bring.")
    ltv_to_cac: float | None
    payback_months: float | None = Field(description="CAC over the CLV's margin a month.")
    strategy: str
    binding_constraint: str


class BudgetAllocation(BaseModel):
    """A proposed split; amounts sum to the total to the cent. Nothing is spent by it."""

    currency: str
    total_budget: Money
    method: str
    as_of: Moment | None
    allocations: list[Allocation]
    expected_gain: float | None = Field(description="Beyond what the baseline would bring; null without curves.")
    expected_gain_lower: float | None = Field(description="5th percentile.")
    expected_gain_upper: float | None = Field(description="95th percentile.")
    gain_probability: float | None = Field(description="0-1, that the split brings more than the baseline.")
    weeks_of_data: int
    fallback: str | None = Field(description="Why the split is not the optimiser's; null where it is.")
    model_version: str
    warnings: list[str]
