"""How good the models are, and who answers."""

from __future__ import annotations

from pydantic import BaseModel, Field

from api.schemas.customers import Moment, Money


class ModelError(BaseModel):
    """A model's error on the examples that matured last, each predicted before its value was known.

    ``deviance`` is Tweedie's of power 1.5, in square roots of the major unit; ``ratio`` the predicted total over what
    came. ``gini`` is 1 where the model ranks customers as their values do.
    """

    name: str
    role: str = Field(description="`champion`, `member`, `challenger`, `answer` (what was given out) or `yardstick`.")
    version: str
    examples: int
    deviance: float
    mae: Money
    rmse: Money
    r2: float | None
    gini: float | None
    ratio: float | None
    relative_to_btyd: float | None = Field(description="Recent deviance over BTYD's; below 1 is better.")
    as_of: Moment | None


class CalibrationPoint(BaseModel):
    """A tenth of the examples by prediction, the highest first."""

    decile: int
    predicted: Money
    realised: Money


class ErrorPoint(BaseModel):
    """Mean deviance by model of the examples that were learned between two model cards."""

    through: Moment
    examples: int
    deviance: dict[str, float]


class DriftAlarm(BaseModel):
    """A detector that fired."""

    at: Moment
    detector: str
    before: float
    after: float


class Importance(BaseModel):
    """By what share the error rises when a group of features is shuffled."""

    group: str
    rise: float


class Switch(BaseModel):
    """When who answers changed, and on what evidence."""

    at: Moment
    version: str
    cause: str
    before: str
    after: str
    relative_errors: dict[str, float | None]
    examples: int


class Champion(BaseModel):
    """Who answers, and why."""

    name: str
    version: str
    weights: dict[str, float]
    learned_through_at: Moment | None
    pinned: bool
    evidence: Switch | None


class ModelMetrics(BaseModel):
    """Everything about the models' quality."""

    currency: str
    horizon_days: int
    examples_learned: int
    models: list[ModelError]
    calibration: list[CalibrationPoint]
    error_over_time: list[ErrorPoint]
    drift: list[DriftAlarm]
    feature_importance: list[Importance]
    champion: Champion | None
    switches: list[Switch]
    last_training_at: Moment | None
    data_as_of: Moment | None
