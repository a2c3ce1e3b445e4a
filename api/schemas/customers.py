"""Customers: the list's items, the history of one, and why its score is what it is."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

SegmentName = Literal["High-CLV", "Growth-Potential", "Low-CLV"]
Confidence = Literal["High", "Medium", "Low"]
Reason = Literal["order", "refund", "silence", "engagement", "policy_changed", "model_changed"]
Money = Annotated[float, Field(description="Major units of the reporting currency.")]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Moment = Annotated[str, Field(description="RFC 3339 in UTC.")]

_CUSTOMER: JsonDict = {
    "customer_id": "18256",
    "segment": "High-CLV",
    "clv": 89.25,
    "clv_lower": 12.4,
    "clv_upper": 210.77,
    "clv_year": 301.9,
    "horizon_days": 90,
    "currency": "USD",
    "confidence": "Medium",
    "recommended_cac": 26.78,
    "churn_probability": 0.12,
    "expected_next_order_at": "1998-07-20T00:00:00Z",
    "order_count": 7,
    "revenue": 412.5,
    "refunded": 0.0,
    "first_order_at": "1997-01-04T00:00:00Z",
    "last_order_at": "1998-06-12T00:00:00Z",
    "acquisition_source": "",
    "campaign_type": "",
    "as_of": "1998-06-30T00:00:00Z",
    "reason": "order",
    "model_versions": {"scorer": "000120-0123456789ab", "champion": "blend", "policy": "000118-0123456789ab"},
}


class Customer(BaseModel):
    """A customer's latest score, and what is known of the customer at its moment.

    The interval holds what comes in nine of ten cases. ``clv`` counts ``horizon_days`` ahead; ``clv_year`` extrapolates
    to 365 days by the survival curve. ``confidence`` is High where the interval is at most twice as wide as the
    prediction is large, Medium up to four times, else Low; Low too where data are too few and a prior answers.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [_CUSTOMER]})
    customer_id: str
    segment: SegmentName | None = Field(description="Null before the first cut-offs are published.")
    clv: Money
    clv_lower: Money
    clv_upper: Money
    clv_year: Money
    horizon_days: int
    currency: str
    confidence: Confidence
    recommended_cac: Money = Field(description="30 % of the CLV's margin: what acquiring such a customer may cost.")
    churn_probability: Share
    expected_next_order_at: Moment | None = Field(description="Null where none is expected within two years.")
    order_count: int
    revenue: Money
    refunded: Money
    first_order_at: Moment
    last_order_at: Moment
    acquisition_source: str
    campaign_type: str
    as_of: Moment
    reason: Reason
    model_versions: dict[str, str]


class CustomerPage(BaseModel):
    """A page of customers; ``next`` is the cursor of the next one, null after the last."""

    items: list[Customer]
    next: str | None


class ScorePoint(BaseModel):
    """A score that was given out."""

    as_of: Moment
    clv: Money
    clv_lower: Money
    clv_upper: Money
    segment: SegmentName | None
    churn_probability: Share
    reason: Reason
    order_count: int
    revenue: Money


class SegmentChange(BaseModel):
    """A customer moved to another segment; ``from_segment`` is null at first."""

    event_id: str
    customer_id: str
    as_of: Moment
    from_segment: SegmentName | None
    to_segment: SegmentName
    reason: Reason
    clv_before: Money | None
    clv_after: Money
    currency: str


class LedgerLine(BaseModel):
    """An order or a refund that was applied."""

    at: Moment
    kind: Literal["order", "refund"]
    amount: Money


class CustomerHistory(BaseModel):
    """What became of a customer, each list oldest first and no longer than asked for, the newest kept."""

    customer_id: str
    currency: str
    scores: list[ScorePoint]
    segment_changes: list[SegmentChange]
    orders: list[LedgerLine] = Field(description="As far back as single orders are remembered.")


class Contribution(BaseModel):
    """What a group of features adds to the typical customer's score, in money."""

    group: str
    amount: Money
    says: str


class Why(BaseModel):
    """A score taken apart: ``base`` and the contributions add up to ``clv``, to the cent.

    Exact Shapley values against the typical customer of the models that answer.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "customer_id": "18256",
                    "as_of": "1998-06-30T00:00:00Z",
                    "currency": "USD",
                    "base": 11.2,
                    "clv": 89.25,
                    "contributions": [{"group": "spend", "amount": 78.05, "says": "what an order is worth"}],
                    "scorer_version": "000120-0123456789ab",
                    "is_current": True,
                }
            ]
        }
    )
    customer_id: str
    as_of: Moment
    currency: str
    base: Money
    clv: Money
    contributions: list[Contribution]
    scorer_version: str
    is_current: bool = Field(description="Whether the models that gave the stored score are the ones explained.")
