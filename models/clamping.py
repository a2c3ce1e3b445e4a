"""Keeping numbers within bounds, without the time that ``numpy.clip`` takes for a call: small batches make many."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from clv.ports import Floats


def clamped(values: Floats, least: float, most: float) -> Floats:
    """Return values within bounds, (n,); what is not a number stays so.

    Examples
    --------
    >>> clamped(np.array([-1.0, 0.5, 3.0]), 0.0, 1.0).tolist()
    [0.0, 0.5, 1.0]
    """
    result: Floats = np.minimum(np.maximum(values, least), most)
    return result


def numbers_within(values: Floats, least: float, most: float) -> Floats:
    """Return values within bounds, (n,); what is not a number becomes the least.

    Examples
    --------
    >>> numbers_within(np.array([np.nan, np.inf, -np.inf]), 1.0, 9.0).tolist()
    [1.0, 9.0, 1.0]
    """
    result: Floats = np.fmin(np.fmax(values, least), most)
    return result
