"""What answers before anything was learnt, and the yardstick that every model must beat.

Constants only: the prior is BG/NBD at parameters typical of shops, times the customer's own mean value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from clv.features import FEATURE_INDEX
from models.bgnbd import TYPICAL
from models.btyd import MAX_PREDICTION_MINOR, BtydParams, bounded

if TYPE_CHECKING:
    from clv.ports import Floats

PRIOR = BtydParams(orders=TYPICAL, value=None)
"""Rates around one purchase in 16 weeks (r .5, alpha 8 weeks), a drop-out share around a quarter (a .8, b 2.5)."""


def naive_minor(features: Floats, *, horizon_days: float) -> Floats:
    """Return the naive prediction: the customer goes on at the rate so far.

    Net revenue per day of age, times the horizon. An age below the horizon counts as the horizon: a first order a
    minute ago is one order in a horizon, not a thousand a day.
    """

    def column(name: str) -> Floats:
        values = np.ascontiguousarray(features[:, FEATURE_INDEX[name]], dtype=np.float64)
        clamped: Floats = np.clip(values, 0.0, MAX_PREDICTION_MINOR)
        return clamped

    age_days = np.maximum(column("customer_age_days"), horizon_days)
    net_minor = column("revenue_minor") * (1.0 - np.minimum(column("return_rate"), 1.0))
    return bounded(net_minor / age_days * horizon_days)
