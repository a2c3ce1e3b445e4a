"""Predictions from aggregated figures: stateless, the same input gives the same answer while the models stay."""

from __future__ import annotations

from fastapi import APIRouter

from api.context import Shared
from api.predicting import predict
from api.problems import documented
from api.schemas.predictions import CustomerFigures, CustomersFigures, Prediction, Predictions
from api.security import require

router = APIRouter(prefix="/api/predict", tags=["predictions"], dependencies=[require("predict")])
_RESPONSES = documented("invalid-input", "too-large", "no-model")


@router.post("", response_model=Prediction, responses=_RESPONSES)
def predict_one(context: Shared, figures: CustomerFigures) -> Prediction:
    """Predict what a customer with these figures will bring, and what acquiring one may cost."""
    return predict(context, [figures.model_dump()])[0]


@router.post("/batch", response_model=Predictions, responses=_RESPONSES)
def predict_many(context: Shared, figures: CustomersFigures) -> Predictions:
    """Predict up to 1,000 customers; one whose figures contradict each other refuses all, and is named."""
    return Predictions(predictions=predict(context, [each.model_dump() for each in figures.customers]))
