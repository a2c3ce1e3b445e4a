"""How much any answer may say: no more than so many times what anybody has ever brought within a horizon."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from clv.features import FEATURE_INDEX
from models.btyd import MIN_PREDICTION_MINOR

if TYPE_CHECKING:
    from clv.ports import Floats

MOST_TIMES = 20.0
_REVENUE, _RETURNED, _AGE = (FEATURE_INDEX[name] for name in ("revenue_minor", "return_rate", "customer_age_days"))


def most_minor(features: Floats, seen_minor: float, *, horizon_days: float) -> Floats:
    """Return the most that may be said of each customer, (n,), at least ``MIN_PREDICTION_MINOR``.

    Parameters
    ----------
    features
        (n, len(FEATURE_NAMES)).
    seen_minor
        The most that anybody is known to have brought within a horizon.

    Notes
    -----
    A customer's own net revenue counts too: in one of the horizons that its age is made of, it brought at least an
    even share. What is returned is therefore never more than ``MOST_TIMES`` the greatest that there ever was.
    """
    revenue, returned, age_days = (
        np.maximum(np.ascontiguousarray(features[:, place], dtype=np.float64), 0.0)
        for place in (_REVENUE, _RETURNED, _AGE)
    )
    own = revenue * np.maximum(1.0 - returned, 0.0) / np.ceil((age_days + 1.0) / horizon_days)
    result: Floats = np.maximum(MOST_TIMES * np.maximum(own, seen_minor), MIN_PREDICTION_MINOR)
    return result
