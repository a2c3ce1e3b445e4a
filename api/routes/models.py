"""The models' quality."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Request

from api.context import Shared
from api.problems import documented
from api.schemas.models import ModelMetrics
from api.security import require

if TYPE_CHECKING:
    from api.quality import Quality

router = APIRouter(prefix="/api", tags=["models"], dependencies=[require("read")])


@router.get("/metrics", response_model=ModelMetrics, responses=documented("no-model"))
def model_metrics(context: Shared, request: Request) -> ModelMetrics:
    """Give each model's error on what matured last, calibration, drift, importance, and who answers why."""
    quality: Quality = request.app.state.quality
    return quality.of(context)
