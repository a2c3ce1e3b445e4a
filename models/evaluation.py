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
_FADE = 1.0 - 1.0 / 4000.0  # a choice of champion looks back over some 4,000 examples
REFERENCE = "btyd"


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
    """One candidate's running totals; ``recent_`` ones fade, paired with the reference's on the same examples."""

    count: int = 0
    deviance: float = 0.0
    absolute_error: float = 0.0
    predicted: float = 0.0
    actual: float = 0.0
    paired_count: int = 0
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

    def update(self, actual_minor: float, predictions: Mapping[str, float]) -> None:
        """Add one matured example; a prediction of exactly 0 means that the model did not answer, and is left out."""
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
                totals.paired_count += 1
                totals.recent_deviance = totals.recent_deviance * _FADE + deviances[name]
                totals.recent_reference = totals.recent_reference * _FADE + deviances[REFERENCE]

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
        totals = self.candidates.get(name)
        if totals is None or totals.paired_count < MIN_EXAMPLES or totals.recent_reference <= 0.0:
            return None
        return totals.recent_deviance / totals.recent_reference


def choose_champion(prequential: Prequential, *, current: str, available: Collection[str]) -> str:
    """Return the model that answers next.

    The current one stays unless it is gone, or a challenger with enough examples has been better by ``MARGIN``.
    Without a current one the reference answers. ``available`` holds at least the reference.
    """
    standing = current if current in available else REFERENCE
    errors = {name: prequential.relative_error(name) for name in sorted(available)}
    known = {name: error for name, error in errors.items() if error is not None}
    if not known:
        return standing
    best = min(known, key=lambda name: known[name])
    return best if known[best] < known.get(standing, 1.0) * (1.0 - MARGIN) else standing


def _deviance(actual: float, predicted: float) -> float:
    root = math.sqrt(predicted)
    return 4.0 * (root - math.sqrt(actual)) ** 2 / root
