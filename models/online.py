"""The online model: River learns each matured example once, as a ratio to what was expected.

A scaler and a linear Poisson regression (log link) on clipped inputs. Its snapshot is plain numbers that score whole
batches in numpy; River itself never leaves the trainer.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from river import linear_model, optim, preprocessing, utils

from clv.errors import FeatureMismatch
from models import relative
from models.btyd import MIN_PREDICTION_MINOR, bounded
from models.clamping import clamped
from models.relative import INPUT_DIGEST, INPUT_NAMES

if TYPE_CHECKING:
    from clv.ports import Floats

LEARNING_RATE = 0.0001  # at 0.001 it chases single examples: 3 % more deviance on half of CDNOW
INTERCEPT_RATE = 0.0003
CLIP = 4.0  # standard deviations: unclipped inputs let one wholesaler blow the weights up
MAX_LOG_RATIO = 1.5
_MAX_GRADIENT = 5.0
_MAX_WEIGHT = 1.0  # bounds the linear term by the inputs times 4, so that its exponential is finite whatever was learnt
_MAX_EXAMPLE_WEIGHT = 8.0


class OnlineState(msgspec.Struct, frozen=True):
    """All that the model knows, as plain numbers in the order of ``INPUT_NAMES``.

    ``mean_unit_minor`` is the running mean of the examples' units, by which their weights are scaled.
    """

    input_digest: str = INPUT_DIGEST
    learned_count: int = 0
    mean_unit_minor: float = 0.0
    means: tuple[float, ...] = (0.0,) * len(INPUT_NAMES)
    variances: tuple[float, ...] = (0.0,) * len(INPUT_NAMES)
    weights: tuple[float, ...] = (0.0,) * len(INPUT_NAMES)
    intercept: float = 0.0

    def predict(self, features: Floats, base_minor: Floats, support_minor: float = math.inf) -> Floats:
        """Predict value over the horizon, (n,), from features (n, len(FEATURE_NAMES)) and base (n,).

        What it adds to the base fades beyond ``support_minor``, see ``relative.fade``.

        Notes
        -----
        Adds up input by input (a running sum), not by a matrix product or a plain sum: the last bits of a row must not
        depend on the batch's size.
        """
        unit = relative.unit_minor(features, base_minor)
        means, variances, weights = (np.array(part)[:, None] for part in (self.means, self.variances, self.weights))
        # A constant input says nothing: an infinite scale makes it 0, as River does.
        scales = np.sqrt(np.where(variances > 0.0, variances, np.inf))
        terms = clamped((relative.inputs(features, unit) - means) / scales, -CLIP, CLIP) * weights
        raw = self.intercept + np.cumsum(terms, axis=0)[-1]
        factor = clamped(raw, -MAX_LOG_RATIO, MAX_LOG_RATIO) * relative.fade(unit, support_minor)
        return bounded(base_minor * np.exp(factor))


class OnlineModel:
    """The learning side: wraps River's scaler and regression; one writer.

    Raises
    ------
    FeatureMismatch
        When ``state`` was made from other inputs.

    Notes
    -----
    Learns in some tens of microseconds an example; no randomness.
    """

    def __init__(self, state: OnlineState | None = None) -> None:
        given = state or OnlineState()
        if given.input_digest != INPUT_DIGEST:
            raise FeatureMismatch(f"the online model was learnt from inputs {given.input_digest}, not {INPUT_DIGEST}")
        self._learned_count = given.learned_count
        self._mean_unit_minor = given.mean_unit_minor
        self._scaler = preprocessing.StandardScaler()
        self._scaler.counts.update(dict.fromkeys(INPUT_NAMES, given.learned_count))
        self._scaler.means.update(zip(INPUT_NAMES, given.means, strict=True))
        self._scaler.vars.update(zip(INPUT_NAMES, given.variances, strict=True))
        self._regression = linear_model.LinearRegression(
            optimizer=optim.SGD(LEARNING_RATE),
            loss=optim.losses.Poisson(),
            intercept_init=given.intercept,
            intercept_lr=INTERCEPT_RATE,
            clip_gradient=_MAX_GRADIENT,
        )
        weights = dict(zip(INPUT_NAMES, given.weights, strict=True))
        self._regression._weights = utils.VectorDict(weights)  # noqa: SLF001  # River has no public way to set weights

    def learn_one(self, features: Floats, base_minor: float, value_minor: float) -> None:
        """Learn one matured example.

        Parameters
        ----------
        features
            (len(FEATURE_NAMES),) as they were at the moment of prediction.
        base_minor, value_minor
            The BTYD expectation of that moment, and the value realised since.
        """
        unit, row = _single(features, base_minor)
        matrix = np.asarray(features, dtype=np.float64).reshape(1, -1)
        target = float(relative.ratio(np.array([value_minor]), np.array([unit]), matrix)[0])
        self._learned_count += 1
        self._mean_unit_minor += (unit - self._mean_unit_minor) / self._learned_count
        self._scaler.learn_one(row)
        # The error is of value over unit, the factor of value over base: their gradients differ by base / unit.
        share = max(base_minor, MIN_PREDICTION_MINOR) / unit
        weight = min(math.sqrt(unit / self._mean_unit_minor), _MAX_EXAMPLE_WEIGHT)
        self._regression.learn_one(self._scaled(row), target / share, w=weight * share)
        self._project()

    def predict_one(self, features: Floats, base_minor: float) -> float:
        """Predict with River's own ``predict_one``; what ``OnlineState.predict`` must equal."""
        _, row = _single(features, base_minor)
        bound = math.exp(MAX_LOG_RATIO)
        factor = min(max(self._regression.predict_one(self._scaled(row)), 1.0 / bound), bound)
        return float(bounded(np.array([base_minor * factor]))[0])

    def to_state(self) -> OnlineState:
        """Return everything learnt as plain numbers: the state to restore from, and the snapshot to score with."""
        weights = self._regression.weights
        return OnlineState(
            learned_count=self._learned_count,
            mean_unit_minor=self._mean_unit_minor,
            means=tuple(float(self._scaler.means[name]) for name in INPUT_NAMES),
            variances=tuple(float(self._scaler.vars[name]) for name in INPUT_NAMES),
            weights=tuple(float(weights[name]) for name in INPUT_NAMES),
            intercept=float(self._regression.intercept),
        )

    def _scaled(self, row: dict[str, float]) -> dict[str, float]:
        return {name: min(CLIP, max(-CLIP, value)) for name, value in self._scaler.transform_one(row).items()}

    def _project(self) -> None:
        for name, weight in self._regression.weights.items():
            if not -_MAX_WEIGHT <= weight <= _MAX_WEIGHT:
                self._regression._weights[name] = math.copysign(_MAX_WEIGHT, weight)  # noqa: SLF001  # as above
        self._regression.intercept = min(max(self._regression.intercept, -MAX_LOG_RATIO), MAX_LOG_RATIO)


def _single(features: Floats, base_minor: float) -> tuple[float, dict[str, float]]:
    matrix = np.asarray(features, dtype=np.float64).reshape(1, -1)
    unit = relative.unit_minor(matrix, np.array([base_minor]))
    return float(unit[0]), dict(zip(INPUT_NAMES, relative.inputs(matrix, unit)[:, 0].tolist(), strict=True))
