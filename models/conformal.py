"""Split-conformal intervals from prequential residuals: quantiles of actual over predicted, by predicted value.

Residuals live in fixed histograms on logarithmic grids: bounded memory, no randomness, plain numbers. The share of
misses aimed at is adapted for each bin as values come in: quantiles of the past promise nothing when times change.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from models.clamping import clamped

if TYPE_CHECKING:
    from clv.ports import Floats

COVERAGE = 0.9
VALUE_BINS = 48  # bin k holds predictions in [2^k - 1, 2^(k+1) - 1) minor units
_CELLS_A_DOUBLING = 4
_LEAST_LOG2, _MOST_LOG2 = -8, 12
_CELLS = (_MOST_LOG2 - _LEAST_LOG2) * _CELLS_A_DOUBLING + 2  # the first holds zero, the last what lies above
MIN_RESIDUALS = 100
_STEP = 0.005  # by which a miss, or nine hits, move the share aimed at
_MISSES_BETWEEN = (0.02, 0.3)
_HALVE_AT = 8_000.0  # old residuals fade: a bin that is full counts each of them half from then on
PRIOR_FACTORS = (0.0, 12.0)
"""Interval of a score about which nothing has been learnt, relative to it: deliberately wide."""


class IntervalFactors(msgspec.Struct, frozen=True):
    """Lower and upper bound over prediction for each of ``VALUE_BINS`` bins of predicted value."""

    lower: tuple[float, ...] = (PRIOR_FACTORS[0],) * VALUE_BINS
    upper: tuple[float, ...] = (PRIOR_FACTORS[1],) * VALUE_BINS

    def bounds(self, predicted_minor: Floats) -> tuple[Floats, Floats]:
        """Return lower and upper bounds, (n,) each, with the prediction between them."""
        bins = _bins(predicted_minor)
        lower = predicted_minor * np.asarray(self.lower)[bins]
        upper = predicted_minor * np.asarray(self.upper)[bins]
        return np.minimum(lower, predicted_minor), np.maximum(upper, predicted_minor)


class Residuals(msgspec.Struct):
    """Histograms of actual over predicted: ``cells[bin]`` counts ratios, and exists once the bin was seen.

    ``misses[bin]`` is the share of misses aimed at there, 1 − ``COVERAGE`` until then. The bin is text, for JSON.

    References
    ----------
    Gibbs & Candès 2021, "Adaptive Conformal Inference Under Distribution Shift", equation 2.
    """

    cells: dict[str, list[float]] = {}
    misses: dict[str, float] = {}

    def update(self, actual_minor: float, predicted_minor: float) -> None:
        """Add one matured example's residual; a prediction of 0 has no ratio and is left out."""
        if predicted_minor <= 0.0:
            return
        centre = int(_bins(np.array([predicted_minor]))[0])
        self._adapt(centre, actual_minor / predicted_minor)
        cells = self.cells.setdefault(str(centre), [0.0] * _CELLS)
        cells[_cell(actual_minor / predicted_minor)] += 1.0
        if sum(cells) >= _HALVE_AT:
            cells[:] = [count / 2.0 for count in cells]

    def factors(self) -> IntervalFactors:
        """Return the bounds for each bin, from it and as many neighbours as hold ``MIN_RESIDUALS`` together."""
        lower, upper = [], []
        for centre in range(VALUE_BINS):
            counts = self._around(centre)
            low, high = PRIOR_FACTORS if counts is None else _central(counts, self._missed(centre))
            lower.append(low)
            upper.append(high)
        return IntervalFactors(tuple(lower), tuple(upper))

    def _missed(self, centre: int) -> float:
        nearest = min(self.misses, key=lambda known: (abs(int(known) - centre), int(known)), default="")
        return self.misses.get(nearest, 1.0 - COVERAGE)

    def _adapt(self, centre: int, ratio: float) -> None:
        """Judge the bounds by a value that they have not seen, and aim at fewer misses after one, else at more."""
        counts = self._around(centre)
        if counts is None:
            return
        missed = self._missed(centre)
        low, high = _central(counts, missed)
        is_missed = not low <= ratio <= max(high, 1.0)
        least, most = _MISSES_BETWEEN
        self.misses[str(centre)] = min(max(missed + _STEP * (1.0 - COVERAGE - is_missed), least), most)

    def _around(self, centre: int) -> Floats | None:
        total = np.zeros(_CELLS)
        for distance in range(VALUE_BINS):
            for position in {centre - distance, centre + distance}:
                total += self.cells.get(str(position), 0.0)
            if total.sum() >= MIN_RESIDUALS:
                return total
        return None


def _bins(predicted_minor: Floats) -> np.ndarray[tuple[int, ...], np.dtype[np.intp]]:
    return clamped(np.floor(np.log2(predicted_minor + 1.0)), 0.0, VALUE_BINS - 1.0).astype(np.intp)


def _cell(ratio: float) -> int:
    if ratio <= 0.0:
        return 0
    position = math.floor((math.log2(ratio) - _LEAST_LOG2) * _CELLS_A_DOUBLING)
    return min(max(position, 0) + 1, _CELLS - 1)


def _central(counts: Floats, missed: float) -> tuple[float, float]:
    # Split conformal prediction counts one more residual than were seen, at the unfavourable end of each side.
    cumulative = np.cumsum(counts)
    rank = (counts.sum() + 1.0) * missed / 2.0 - 1.0
    low = int(np.searchsorted(cumulative, rank, side="right"))
    # Nothing lies below zero: where the lower bound is zero, all the misses may lie above.
    level = 1.0 - missed / 2.0 if low > 1 else 1.0 - missed
    wanted = (counts.sum() + 1.0) * level
    high = min(int(np.searchsorted(cumulative, wanted, side="left")), _CELLS - 1)
    below = cumulative[high - 1] if high else 0.0
    share = min(max((wanted - below) / max(float(counts[high]), 1.0), 0.0), 1.0)
    return _edge(low - 1), _edge(high - 1 + share)


def _edge(cell: float) -> float:
    """Return the upper end of a cell, or a place inside the next one, as a ratio; the first ones reach down to zero."""
    return float(2.0 ** (_LEAST_LOG2 + cell / _CELLS_A_DOUBLING)) if cell > 0 else 0.0
