"""What every learner sees: logs of the features and of the base, and the realised value as a ratio to the base.

Learning the ratio instead of the value gives each learner the BTYD expectation to start from; raw targets were a
quarter less accurate and badly calibrated for silent customers.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from clv.features import CODE_NAMES, FEATURE_INDEX, FEATURE_NAMES

if TYPE_CHECKING:
    from clv.ports import Floats

_PLAIN_NAMES = tuple(name for name in FEATURE_NAMES if name not in CODE_NAMES)
INPUT_NAMES = (*_PLAIN_NAMES, "unit_minor")
"""Every feature but the codes, whose size means nothing: ``models.glm`` learns what they are worth."""
INPUT_DIGEST = hashlib.sha256("\n".join(INPUT_NAMES).encode()).hexdigest()[:16]
SMOOTHING_ORDERS = 0.15
MAX_RATIO = 20.0
MAX_ORDERS = 10.0

_PLAIN = [FEATURE_INDEX[name] for name in _PLAIN_NAMES]
_MEAN_VALUE = FEATURE_INDEX["mean_purchase_value_minor"]


def unit_minor(features: Floats, base_minor: Floats, share: Floats | float = 1.0) -> Floats:
    """Return what a ratio of 1 is worth, (n,): the base plus a share of an order of the customer's own size, plus 1.

    The order's share keeps ratios moderate where the base is nearly nothing, in any currency. ``share`` is the part of
    a horizon that the base was expected over.
    """
    unit: Floats = base_minor + share * SMOOTHING_ORDERS * mean_value_minor(features) + 1.0
    return unit


def fade(unit: Floats, support_minor: float) -> Floats:
    """Return how much of a learnt correction counts, (n,): 1 up to ``support_minor``, falling with the root beyond.

    Beyond the customers that something was learnt from, a correction is a guess, and theirs is the most money.
    """
    result: Floats = np.sqrt(np.minimum(1.0, support_minor / unit))
    return result


def inputs(features: Floats, unit: Floats) -> Floats:
    """Return log1p of features and unit as (len(INPUT_NAMES), n): one contiguous row a name.

    Contiguous, because strided arrays may take another vector path with other last bits.
    """
    rows = np.empty((len(INPUT_NAMES), len(unit)), dtype=np.float64)
    rows[:-1] = features.T[_PLAIN]
    rows[-1] = unit
    logs: Floats = np.log1p(np.maximum(rows, 0.0))
    return logs


def ratio(value_minor: Floats, unit: Floats, features: Floats) -> Floats:
    """Return realised value over unit, at least 0; at most ``MAX_RATIO`` units or ``MAX_ORDERS`` orders count.

    One customer's windfall must not lead the learning; an ordinary order of one who was not expected back must count.
    """
    most = np.maximum(MAX_RATIO * unit, MAX_ORDERS * mean_value_minor(features))
    clipped: Floats = np.clip(value_minor, 0.0, most) / unit
    return clipped


def mean_value_minor(features: Floats) -> Floats:
    """Return the customers' mean purchase values, (n,), at least 0."""
    return np.maximum(np.ascontiguousarray(features[:, _MEAN_VALUE], dtype=np.float64), 0.0)
