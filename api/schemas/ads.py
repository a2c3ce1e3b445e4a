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
    cac_target: Money
    customers: int
    mean_clv: Money
    expected_new_customers: int = Field(description="The amount over the CAC target: if each costs what it may.")
    strategy: str
    binding_constraint: str


class BudgetAllocation(BaseModel):
    """A proposed split; amounts sum to the total to the cent. Nothing is spent by it."""

    currency: str
    total_budget: Money
    method: str
    as_of: Moment | None
    allocations: list[Allocation]
    warnings: list[str]
