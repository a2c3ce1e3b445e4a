"""What ``POST /api/predict`` takes and answers."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from api.schemas.customers import Confidence, Moment, Money, SegmentName, Share

_SUMMARY: JsonDict = {
    "total_orders": 8,
    "total_spent": 1240.0,
    "avg_order_value": 155.0,
    "days_since_first_purchase": 400,
    "days_since_last_purchase": 20,
    "num_categories": 3,
    "acquisition_source": "google",
    "campaign_type": "brand",
    "acquisition_cost": 25.0,
    "email_engagement_rate": 0.4,
    "return_rate": 0.05,
}
MOST = 1_000
"""Customers in a batch."""


class CustomerFigures(BaseModel):
    """One customer's aggregated figures; amounts in the reporting currency, days counted back from now.

    They are checked against each other: the average times the orders is the total up to rounding, the last purchase
    does not lie before the first, rates lie between 0 and 1.
    """

    model_config = ConfigDict(strict=True, json_schema_extra={"examples": [_SUMMARY]})
    total_orders: int = Field(ge=1, le=100_000)
    total_spent: float = Field(ge=0, lt=10**12, allow_inf_nan=False)
    days_since_first_purchase: float = Field(ge=0, le=36_500, allow_inf_nan=False)
    days_since_last_purchase: float = Field(ge=0, le=36_500, allow_inf_nan=False)
    avg_order_value: float | None = Field(None, ge=0, lt=10**12, allow_inf_nan=False)
    num_categories: int | None = Field(None, ge=0, le=10_000)
    acquisition_source: str | None = Field(None, max_length=256)
    campaign_type: str | None = Field(None, max_length=256)
    acquisition_cost: float | None = Field(None, ge=0, lt=10**12, allow_inf_nan=False)
    email_engagement_rate: float | None = Field(None, ge=0, le=1, allow_inf_nan=False)
    return_rate: float | None = Field(None, ge=0, le=1, allow_inf_nan=False)


class CustomersFigures(BaseModel):
    """Several customers at once."""

    customers: list[CustomerFigures] = Field(min_length=1, max_length=MOST)


class Prediction(BaseModel):
    """What a customer with these figures is worth; ``recommended_cac`` is 30 % of ``predicted_clv``, to the cent.

    ``model`` says who answered: ``stream``, the models that score orders as they come; ``aggregated``, a model that
    ``clv train --from`` fitted to such figures; ``prior``, nothing learned yet, and confidence is Low.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "predicted_clv": 892.5,
                    "segment": "High-CLV",
                    "confidence": "High",
                    "recommended_cac": 267.75,
                    "clv_lower": 512.2,
                    "clv_upper": 1290.0,
                    "churn_probability": 0.05,
                    "horizon_days": 90,
                    "currency": "USD",
                    "model": "stream",
                    "model_version": "000120-0123456789ab",
                    "learned_through_at": "1998-06-29T00:00:00Z",
                }
            ]
        }
    )
    predicted_clv: Money
    segment: SegmentName
    confidence: Confidence
    recommended_cac: Money
    clv_lower: Money
    clv_upper: Money
    churn_probability: Share
    horizon_days: int
    currency: str
    model: Literal["stream", "aggregated", "prior"]
    model_version: str
    learned_through_at: Moment | None


class Predictions(BaseModel):
    """Predictions in the order of the customers."""

    predictions: list[Prediction]
