"""BG/NBD: how often a customer buys and whether they still do (Fader, Hardie & Lee 2005).

Counts x are repeat purchase days, times are weeks; arrays have shape (n,) and rows are independent. Everything is
computed in logs and clamped to its mathematical bounds, so that absurd histories give finite, non-negative answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, gammaln, hyp2f1

if TYPE_CHECKING:
    from clv.ports import Floats

# Where the fit starts and, with few customers, stays: r, alpha (weeks), a, b typical of shops in the literature.
_CENTRE = np.log([0.5, 8.0, 0.8, 2.5])
_STARTS = (np.log([0.3, 5.0, 0.8, 2.5]), np.log([1.0, 10.0, 0.1, 1.0]))
_BOUNDS = ((-7.0, 5.0), (-4.0, 8.0), (-7.0, 5.0), (-7.0, 7.0))
_PENALTY = 0.125  # a normal prior of standard deviation 2 on each log parameter: nothing against thousands of customers
_SINGULAR = 1e-5  # equation 10 divides by a - 1 and by Gamma(a + b + x - 1): step off both


class BgNbdParams(msgspec.Struct, frozen=True):
    """Parameters of BG/NBD: purchase rates are Gamma(r, alpha), in weeks; drop-out shares are Beta(a, b)."""

    r: float
    alpha: float
    a: float
    b: float


TYPICAL = BgNbdParams(*(float(value) for value in np.exp(_CENTRE)))
"""What is assumed where nothing was fitted."""


def fit(x: Floats, t_x: Floats, age: Floats, counts: Floats | None = None) -> BgNbdParams:
    """Fit by penalised maximum likelihood (equation 6), from several starts.

    Parameters
    ----------
    x, t_x, age
        Repeat purchases; weeks from the first purchase to the last and to the end of the observation.
    counts
        How many customers each row stands for; one each by default.

    Returns
    -------
    BgNbdParams
        Always usable: a penalty towards ``TYPICAL`` decides where data are thin, and a fit that fails is ``TYPICAL``.
    """
    if not len(x):
        return TYPICAL
    rows, back = np.unique(np.column_stack((x, t_x, age)), axis=0, return_inverse=True)
    weight = np.bincount(back.ravel(), counts, len(rows)).astype(np.float64)
    columns = [np.ascontiguousarray(column) for column in rows.T]
    total = weight.sum()

    def loss(logs: Floats) -> float:
        r, alpha, a, b = np.exp(logs)
        likelihood = _log_likelihood(BgNbdParams(r, alpha, a, b), *columns)
        value = -float((weight * likelihood).sum()) + _PENALTY * float(((logs - _CENTRE) ** 2).sum())
        return value / total if np.isfinite(value) else 1e10

    fits = [minimize(loss, start, method="L-BFGS-B", bounds=_BOUNDS) for start in _STARTS]
    best = min(fits, key=lambda result: float(result.fun))
    if not np.isfinite(best.x).all() or best.fun >= 1e10:
        return TYPICAL
    return BgNbdParams(*(float(value) for value in np.exp(best.x)))


def _log_likelihood(params: BgNbdParams, x: Floats, t_x: Floats, age: Floats) -> Floats:
    # Fader, Hardie & Lee 2005, equation 6, in logs.
    r, alpha, a, b = params.r, params.alpha, params.a, params.b
    shared = gammaln(r + x) - gammaln(r) + r * np.log(alpha)
    shared += gammaln(a + b) + gammaln(b + x) - gammaln(b) - gammaln(a + b + x)
    alive = -(r + x) * np.log(alpha + age)
    gone = np.log(a) - np.log(b + np.maximum(x, 1.0) - 1.0) - (r + x) * np.log(alpha + t_x)
    result: Floats = shared + np.where(x > 0, np.logaddexp(alive, gone), alive)
    return result


def probability_alive(params: BgNbdParams, x: Floats, t_x: Floats, age: Floats) -> Floats:
    """Return the probability that a customer has not dropped out; 1 without a repeat purchase, by the model's design.

    References
    ----------
    Fader, Hardie & Lee 2008, "Computing P(alive) using the BG/NBD model", equation 1.
    """
    log_odds = np.log(params.a) - np.log(params.b + np.maximum(x, 1.0) - 1.0)
    log_odds = log_odds + (params.r + x) * np.log((params.alpha + age) / (params.alpha + t_x))
    result: Floats = np.where(x > 0, expit(-log_odds), 1.0)
    return result


def expected_orders(params: BgNbdParams, x: Floats, t_x: Floats, age: Floats, horizon: float | Floats) -> Floats:
    """Return the expected number of purchases in the next ``horizon`` weeks, one for all or one each (equation 10).

    Notes
    -----
    Euler's transformation leaves x in one parameter of the hypergeometric function alone: no power overflows, and the
    series converges faster the more a customer has bought. The answer lies between 0 and
    (r + x) horizon / (alpha + age), the expectation if nobody ever dropped out; where the function fails, the answer
    at the mean drop-out share stands in.
    """
    a, b = _off_singular(params)
    rate = params.r + x
    growth = horizon / (params.alpha + age)
    z = growth / (1.0 + growth)
    c = a + b + x - 1.0
    with np.errstate(all="ignore"):
        series = hyp2f1(a + b - 1.0 - params.r, a - 1.0, c, z)
        while_alive = c / (a - 1.0) * (1.0 - np.exp((1.0 - a) * np.log1p(growth)) * series)
    most = rate * growth
    share = a / (a + b + x)
    fallback = -np.expm1(-rate * np.log1p(share * growth)) / share
    is_sound = np.isfinite(while_alive) & (while_alive >= 0.0) & (while_alive <= most * (1.0 + 1e-6))
    result: Floats = np.minimum(np.where(is_sound, while_alive, fallback), most)
    return result * probability_alive(params, x, t_x, age)


def median_wait(params: BgNbdParams, x: Floats, t_x: Floats, age: Floats) -> Floats:
    """Return the weeks until the next purchase is as likely as not to have come; infinite where it never is.

    Notes
    -----
    Alive customers stay so until they buy, and their rate is Gamma(r + x, alpha + age), so that
    P(purchase within w) = P(alive) (1 - ((alpha + age) / (alpha + age + w))^(r + x)); this solves it for one half.
    """
    alive = probability_alive(params, x, t_x, age)
    with np.errstate(all="ignore"):
        wait = (params.alpha + age) * np.expm1(-np.log1p(-0.5 / alive) / (params.r + x))
    result: Floats = np.where(alive > 0.5, wait, np.inf)
    return result


def _off_singular(params: BgNbdParams) -> tuple[float, float]:
    a, b = params.a, params.b
    if abs(a - 1.0) < _SINGULAR:
        a = 1.0 + _SINGULAR
    if abs(a + b - 1.0) < _SINGULAR:
        b += 2.0 * _SINGULAR
    return a, b
