"""Audiences and the budget's split."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from api.schemas.customers import Moment, Money, SegmentName, Share


class Audience(BaseModel):
    """An audience as the scores want it."""

    name: str
    segment: SegmentName
    size: int
    strategy: str
    lookalike: str | None = Field(description="Which part of a population to look for, null for none.")
    status: Literal["wanted", "too_small"] = Field(
        description="`wanted`: what the scores ask for, not yet delivered; `too_small`: below the platform's minimum."
    )


class Audiences(BaseModel):
    """All audiences."""

    items: list[Audience]
    minimum_size: int
    note: str


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
