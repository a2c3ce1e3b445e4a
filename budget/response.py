"""What spending on a segment brings, with diminishing returns, learned from past weeks; and how sure that is.

The value that a week's spend x brings is taken as a·x^b·e^γ with 0 < b < 1: of constant elasticity b, concave, the form
in which elasticities of advertising are reported (Sethuraman, Tellis and Briesch 2011, Journal of Marketing Research
48). γ is the week's own, common to all segments: season, holidays. In logarithms that is a linear model with Gaussian
priors, solved in closed form (Bishop 2006, Pattern Recognition and Machine Learning, eqs. 3.53-3.54), with old weeks
weighing less.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np
from scipy.linalg import cho_factor, cho_solve

from clv.outcomes import SEGMENTS, Segment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

WEEK_MS = 7 * 86_400_000
FEWEST_WEEKS = 8
LEAST_SPREAD = 0.05
"""Standard deviation of the logarithm of a segment's spend below which its curve cannot be seen: some 5 %."""
HALF_LIFE_WEEKS = 13.0
_ELASTICITY = 0.6
_ELASTICITY_SD = 0.2
_SEASON_SD = 0.3
_LEVEL_SD = 10.0
_ELASTICITY_BOUNDS = (0.05, 0.95)
_LEAST_NOISE_SD = 0.02
_DRAWS = 1_000


class Spent(NamedTuple):
    """A segment's week: what was spent, and the CLV of whom it brought; minor units.

    ``week`` counts weeks from any beginning; rows of the same week share it.
    """

    segment: Segment
    week: int
    spend_minor: int
    value_minor: int


class Response(msgspec.Struct, frozen=True):
    """Curves of the segments in the order of ``SEGMENTS``, for the coming week in an ordinary season.

    Parameters
    ----------
    log_level, elasticity
        The curve's logarithm of a, and b; (3,) each.
    draws
        (n, 3, 2): log level and elasticity of n equally likely worlds; row k of a draw is segment k.
    weeks
        How many weeks they rest on.
    """

    log_level: Floats
    elasticity: Floats
    draws: Floats
    weeks: int

    def over(self, weeks: float) -> Response:
        """Return the curves of a period of so many weeks, over which an amount is spread evenly."""
        log_weeks = np.log(weeks)
        draws = self.draws.copy()
        draws[:, :, 0] += log_weeks * (1 - draws[:, :, 1])
        return Response(self.log_level + log_weeks * (1 - self.elasticity), self.elasticity, draws, self.weeks)

    def value(self, amounts: Floats) -> Floats:
        """Return what amounts (3,) in minor units are expected to bring, per segment."""
        return np.exp(self.log_level) * np.power(np.maximum(amounts, 0.0), self.elasticity)

    def values_drawn(self, amounts: Floats) -> Floats:
        """Return (n, 3) what amounts bring in each of the worlds."""
        drawn: Floats = np.exp(self.draws[:, :, 0]) * np.power(np.maximum(amounts, 0.0), self.draws[:, :, 1])
        return drawn

    def marginal(self, amounts: Floats) -> Floats:
        """Return what one more unit would bring, per segment; infinite at nothing."""
        with np.errstate(divide="ignore", invalid="ignore"):
            slope: Floats = self.elasticity * self.value(amounts) / np.asarray(amounts, dtype=np.float64)
        return slope


class NoResponse(NamedTuple):
    """Why no curve can be given, in words."""

    reason: str


def fit_response(rows: Sequence[Spent], *, seed: int = 0) -> Response | NoResponse:
    """Fit the segments' curves.

    Parameters
    ----------
    rows
        Weeks in any order, at most one row a segment and week; rows without spend or value are left out.
    seed
        Of the draws.

    Returns
    -------
    Response | NoResponse
        The reason where a segment has too few weeks, or its spend did not vary enough for a slope to be seen.

    Notes
    -----
    Deterministic. The posterior of the elasticity leans on a prior of 0.6 ± 0.2 where the data say little.
    """
    used = [row for row in rows if row.spend_minor > 0 and row.value_minor > 0]
    if says := _problem(used):
        return NoResponse(says)
    weeks = sorted({row.week for row in used})
    position = {week: i for i, week in enumerate(weeks)}
    n_params = 2 * len(SEGMENTS) + len(weeks)
    design = np.zeros((len(used), n_params))
    target, weight = np.empty(len(used)), np.empty(len(used))
    for i, row in enumerate(used):
        segment = SEGMENTS.index(row.segment)
        log_spend = np.log(row.spend_minor)
        design[i, segment] = 1.0
        design[i, len(SEGMENTS) + segment] = log_spend
        design[i, 2 * len(SEGMENTS) + position[row.week]] = 1.0
        target[i] = np.log(row.value_minor)
        weight[i] = 0.5 ** ((weeks[-1] - row.week) / HALF_LIFE_WEEKS)
    mean, covariance = _posterior(design, target, weight)
    return _response(mean, covariance, len(weeks), seed)


def _problem(rows: Sequence[Spent]) -> str:
    counts = Counter(row.segment for row in rows)
    for segment in SEGMENTS:
        if counts[segment] < FEWEST_WEEKS:
            return f"{segment} has {counts[segment]} weeks with spend and value, {FEWEST_WEEKS} are needed"
        logs = np.log([row.spend_minor for row in rows if row.segment == segment])
        if float(np.std(logs)) < LEAST_SPREAD:
            return f"what was spent on {segment} hardly varied: what more or less would bring cannot be seen"
    return ""


def _posterior(design: Floats, target: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """Return mean and covariance of the parameters; the noise is what an ordinary first fit leaves."""
    n_segments = len(SEGMENTS)
    prior_mean = np.zeros(design.shape[1])
    prior_mean[n_segments : 2 * n_segments] = _ELASTICITY
    prior_mean[:n_segments] = np.average(target, weights=weight) - _ELASTICITY * np.average(
        design[:, n_segments : 2 * n_segments].sum(axis=1), weights=weight
    )
    precision = np.full(design.shape[1], _SEASON_SD**-2)
    precision[:n_segments] = _LEVEL_SD**-2
    precision[n_segments : 2 * n_segments] = _ELASTICITY_SD**-2
    noise = 0.2**2
    mean, covariance = prior_mean, np.diag(1 / precision)
    for _ in range(5):
        weighted = design * (weight / noise)[:, None]
        factor = cho_factor(design.T @ weighted + np.diag(precision))
        mean = prior_mean + cho_solve(factor, weighted.T @ (target - design @ prior_mean))
        covariance = cho_solve(factor, np.eye(len(mean)))
        residual = target - design @ mean
        # What the parameters took of the weighted rows is not noise (Bishop 2006, eq. 3.91 and 3.95).
        taken = float(np.trace(covariance @ (design.T @ weighted)))
        noise = max(float(np.sum(weight * residual**2)) / max(float(np.sum(weight)) - taken, 1.0), _LEAST_NOISE_SD**2)
    return mean, covariance


def _response(mean: Floats, covariance: Floats, weeks: int, seed: int) -> Response:
    n = len(SEGMENTS)
    kept = slice(0, 2 * n)
    chance = np.random.default_rng(seed)
    drawn = chance.multivariate_normal(mean[kept], covariance[kept, kept], size=_DRAWS, method="cholesky")
    level, elasticity = drawn[:, :n], drawn[:, n:]
    # A level is known where spend was, not at nothing: clipping a slope turns the curve about the middle.
    slopes = np.clip(elasticity, *_ELASTICITY_BOUNDS)
    centre = -(covariance[:n, n : 2 * n].diagonal() / covariance[n : 2 * n, n : 2 * n].diagonal())
    levels = level + (elasticity - slopes) * centre
    best = np.clip(mean[n : 2 * n], *_ELASTICITY_BOUNDS)
    best_level = mean[:n] + (mean[n : 2 * n] - best) * centre
    return Response(best_level, best, np.stack([levels, slopes], axis=-1), weeks)
