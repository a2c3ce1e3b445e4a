"""What every learner sees: logs of the features and of the base, and the realised value as a ratio to the base.

Learning the ratio instead of the value gives each learner the BTYD expectation to start from; raw targets were a
quarter less accurate and badly calibrated for silent customers.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from clv.features import FEATURE_INDEX, FEATURE_NAMES

if TYPE_CHECKING:
    from clv.ports import Floats

INPUT_NAMES = (*FEATURE_NAMES, "unit_minor")
INPUT_DIGEST = hashlib.sha256("\n".join(INPUT_NAMES).encode()).hexdigest()[:16]
SMOOTHING_ORDERS = 0.15
MAX_RATIO = 20.0
"""Realised ratios count as at most this: one customer's windfall must not lead the learning."""

_MEAN_VALUE = FEATURE_INDEX["mean_purchase_value_minor"]


def unit_minor(features: Floats, base_minor: Floats) -> Floats:
    """Return what a ratio of 1 is worth, (n,): the base plus a share of an order of the customer's own size, plus 1.

    The share keeps ratios moderate where the base is nearly nothing, in any currency.
    """
    unit: Floats = base_minor + SMOOTHING_ORDERS * np.maximum(features[:, _MEAN_VALUE], 0.0) + 1.0
    return unit


def inputs(features: Floats, unit: Floats) -> Floats:
    """Return log1p of features and unit as (len(INPUT_NAMES), n): one contiguous row a name.

    Contiguous, because strided arrays may take another vector path with other last bits.
    """
    rows = np.empty((len(INPUT_NAMES), len(unit)), dtype=np.float64)
    rows[:-1] = features.T
    rows[-1] = unit
    logs: Floats = np.log1p(np.maximum(rows, 0.0))
    return logs


def ratio(value_minor: Floats, unit: Floats) -> Floats:
    """Return realised value over unit, between 0 and ``MAX_RATIO``."""
    clipped: Floats = np.clip(value_minor / unit, 0.0, MAX_RATIO)
    return clipped
