"""Prequential error: every model judged on examples by what it had said before they matured.

Holds running totals as plain data; which model answers follows from them, with a margin and a minimum count.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from clv.ports import Floats

MARGIN = 0.01
MIN_EXAMPLES = 500
_MEMORY = 4_000  # examples over which a choice of champion looks back, roughly
_FADE = 1.0 - 1.0 / _MEMORY
REFERENCE = "btyd"
EXPECTED_ERROR = {"btyd": 1.0, "glm": 0.975, "blend": 0.97}
"""Deviance against the reference's that is expected of those that may answer unproven; see docs/accuracy.md."""
_PRIOR_COUNT = 4_000  # examples that the expectation counts for
_SHARPNESS = 80.0


def tweedie_deviance(actual: Floats, predicted: Floats) -> Floats:
    """Return each prediction's Tweedie deviance of power 1.5, (n,), in square roots of minor units.

    A proper score for the mean of values that are mostly zero and heavy-tailed. Predictions count as at least a
    thousandth of the mean actual value, so that one "never again" that comes back does not decide all.

    References
    ----------
    Jørgensen 1997, "The Theory of Dispersion Models": the unit deviance at p = 1.5 is 4 (√μ − √y)² / √μ.
    """
    root = np.sqrt(np.maximum(predicted, max(float(actual.mean()) / 1000.0, 1e-9)))
    deviance: Floats = 4.0 * (root - np.sqrt(actual)) ** 2 / root
    return deviance


class Totals(msgspec.Struct):
    """One candidate's running totals; ``recent_`` ones fade, paired with the reference's on the same examples.

    ``paired_count`` adds up the weights of those examples, see ``Prequential.update``.
    """

    count: int = 0
    deviance: float = 0.0
    absolute_error: float = 0.0
    predicted: float = 0.0
    actual: float = 0.0
    paired_count: float = 0.0
    recent_deviance: float = 0.0
    recent_reference: float = 0.0


class Metrics(msgspec.Struct, frozen=True):
    """A candidate's error so far: means per example; ``ratio`` is predicted over actual total (1 is unbiased)."""

    count: int
    deviance: float
    mae: float
    ratio: float


class Prequential(msgspec.Struct):
    """Totals of every candidate; the floor of the deviance follows the mean actual value so far."""

    example_count: int = 0
    actual_minor: float = 0.0
    candidates: dict[str, Totals] = {}

    def update(self, actual_minor: float, predictions: Mapping[str, float], *, weight: float = 1.0) -> None:
        """Add one matured example; a prediction of exactly 0 means that the model did not answer, and is left out.

        ``weight`` in 0 to 1 says how much the example tells about the models of today; metrics count it whole.
        """
        self.example_count += 1
        self.actual_minor += actual_minor
        floor = max(self.actual_minor / self.example_count / 1000.0, 1e-9)
        given = {name: predicted for name, predicted in predictions.items() if predicted > 0.0}
        deviances = {name: _deviance(actual_minor, max(predicted, floor)) for name, predicted in given.items()}
        for name, predicted in given.items():
            totals = self.candidates.setdefault(name, Totals())
            totals.count += 1
            totals.deviance += deviances[name]
            totals.absolute_error += abs(actual_minor - predicted)
            totals.predicted += predicted
            totals.actual += actual_minor
            if REFERENCE in deviances:
                fade = _FADE**weight
                totals.paired_count += weight
                totals.recent_deviance = totals.recent_deviance * fade + weight * deviances[name]
                totals.recent_reference = totals.recent_reference * fade + weight * deviances[REFERENCE]

    def metrics(self) -> dict[str, Metrics]:
        """Return each candidate's error over all examples that it answered."""
        return {
            name: Metrics(
                count=totals.count,
                deviance=totals.deviance / totals.count,
                mae=totals.absolute_error / totals.count,
                ratio=totals.predicted / totals.actual if totals.actual else 0.0,
            )
            for name, totals in sorted(self.candidates.items())
        }

    def relative_error(self, name: str) -> float | None:
        """Return a candidate's recent deviance over the reference's on the same examples; none below the minimum."""
        error, count = self.recent(name)
        return error if count >= MIN_EXAMPLES else None

    def standing(self, name: str) -> float:
        """Return a candidate's relative error, drawn towards what is expected of it the less is known."""
        error, count = self.recent(name)
        return (count * error + _PRIOR_COUNT * EXPECTED_ERROR.get(name, 1.0)) / (count + _PRIOR_COUNT)

    def recent(self, name: str) -> tuple[float, float]:
        """Return a candidate's recent deviance over the reference's, and of how many examples; 1 and 0 without any."""
        totals = self.candidates.get(name)
        if totals is None or totals.recent_reference <= 0.0:
            return 1.0, 0.0
        return totals.recent_deviance / totals.recent_reference, min(totals.paired_count, _MEMORY)


def blend_weights(prequential: Prequential, members: Collection[str]) -> dict[str, float]:
    """Return each member's part of the blend, adding up to 1; empty without members.

    A softmax of relative error: 1 % less deviance than another is worth ``e**0.8`` times its part. A member of which
    nothing is expected has no part before it has shown itself on ``MIN_EXAMPLES``.

    Parameters
    ----------
    members
        Models that answer.
    """
    strength = {
        name: math.exp(-_SHARPNESS * prequential.standing(name))
        for name in members
        if name in EXPECTED_ERROR or prequential.recent(name)[1] >= MIN_EXAMPLES
    }
    total = sum(strength.values())
    return {name: value / total for name, value in strength.items()}


def choose_champion(prequential: Prequential, *, current: str, available: Collection[str]) -> str:
    """Return what answers next: a model, or the blend.

    The current one stays unless it is gone, or a challenger with enough examples stands better by ``MARGIN``. Where the
    reference stands alone no longer, what is expected to be better takes its place. ``available`` holds at least the
    reference.
    """
    standings = {
        name: prequential.standing(name)
        for name in sorted(available)
        if name in EXPECTED_ERROR or prequential.recent(name)[1] >= MIN_EXAMPLES
    }
    best = min(standings, key=lambda name: standings[name])
    current = current if current in standings else REFERENCE
    return best if standings[best] < standings[current] * (1.0 - MARGIN) else current


def _deviance(actual: float, predicted: float) -> float:
    root = math.sqrt(predicted)
    return 4.0 * (root - math.sqrt(actual)) ** 2 / root
