"""Gamma-Gamma: what a customer's purchases are worth (Fader & Hardie 2013).

Values are in minor units per purchase day; arrays have shape (n,) and rows are independent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np
from scipy.optimize import minimize
from scipy.special import gammaln

if TYPE_CHECKING:
    from clv.ports import Floats

_CENTRE = np.log([4.0, 3.5, 0.8])  # p, q, v in units of the median value: where few data leave the fit
_STARTS = (_CENTRE, np.log([1.5, 2.0, 1.0]))
# q stays above 1, or the population's mean would be infinite.
_BOUNDS = ((-2.0, 7.0), (float(np.log(1.05)), 7.0), (-9.0, 9.0))
_PENALTY = 0.125
MIN_REPEAT_CUSTOMERS = 10


class GammaGammaParams(msgspec.Struct, frozen=True):
    """Parameters of Gamma-Gamma: values are Gamma(p, ν) with ν Gamma(q, v); ``v`` in minor units."""

    p: float
    q: float
    v: float

    @property
    def population_value_minor(self) -> float:
        """The mean value of a purchase over the whole population."""
        return self.p * self.v / (self.q - 1.0)


def fit(x: Floats, mean_repeat_minor: Floats, *, mean_minor: Floats) -> GammaGammaParams:
    """Fit by penalised maximum likelihood to customers with repeat purchases.

    Parameters
    ----------
    x, mean_repeat_minor
        Repeat purchases and their mean value; rows where either is 0 are left out.
    mean_minor
        Mean value with the first purchase, for the fallback.

    Returns
    -------
    GammaGammaParams
        Always usable: below ``MIN_REPEAT_CUSTOMERS`` the population's mean with light shrinkage.
    """
    is_known = (x > 0) & (mean_repeat_minor > 0)
    repeats, value = x[is_known], mean_repeat_minor[is_known]
    if len(repeats) < MIN_REPEAT_CUSTOMERS:
        return _without_repeats(mean_minor)
    scale = float(np.median(value))
    scaled = value / scale

    def loss(logs: Floats) -> float:
        p, q, v = np.exp(logs)
        cost = -float(_log_likelihood(GammaGammaParams(p, q, v), repeats, scaled).sum())
        cost += _PENALTY * float(((logs - _CENTRE) ** 2).sum())
        return cost / len(repeats) if np.isfinite(cost) else 1e10

    fits = [minimize(loss, start, method="L-BFGS-B", bounds=_BOUNDS) for start in _STARTS]
    best = min(fits, key=lambda result: float(result.fun))
    if not np.isfinite(best.x).all() or best.fun >= 1e10:
        return _without_repeats(mean_minor)
    p, q, v = (float(parameter) for parameter in np.exp(best.x))
    return GammaGammaParams(p, q, v * scale)


def _without_repeats(mean_minor: Floats) -> GammaGammaParams:
    bought = mean_minor[mean_minor > 0]
    return GammaGammaParams(1.0, 2.0, float(bought.mean()) if len(bought) else 1.0)


def _log_likelihood(params: GammaGammaParams, x: Floats, mean_value: Floats) -> Floats:
    # Fader & Hardie 2013, equation 1a.
    p, q, v = params.p, params.q, params.v
    result: Floats = gammaln(p * x + q) - gammaln(p * x) - gammaln(q) + q * np.log(v)
    result = result + (p * x - 1.0) * np.log(mean_value) + p * x * np.log(x)
    return result - (p * x + q) * np.log(x * mean_value + v)


def expected_value_minor(params: GammaGammaParams, x: Floats, mean_repeat_minor: Floats) -> Floats:
    """Return the expected value of a customer's future purchases; the population's mean without a repeat.

    References
    ----------
    Fader & Hardie 2013, equation 5: a weighted mean of the population's value and the customer's own.
    """
    own_share = params.p * x / (params.p * x + params.q - 1.0)
    blended: Floats = (1.0 - own_share) * params.population_value_minor + own_share * mean_repeat_minor
    return blended
