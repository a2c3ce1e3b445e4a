"""Why a prediction is what it is, in money: factors that multiply, as amounts that add up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clv.ports import Floats, Ints

REST = "rest"
"""What no single factor explains: what was learned about all alike, bounds, and the mean of products."""


def share_out(log_terms: Mapping[str, Floats], predicted_minor: Ints, base_minor: int) -> dict[str, Ints]:
    """Return each factor's part of ``predicted − base`` in whole minor units, (n,); with ``REST`` they sum exactly.

    Parameters
    ----------
    log_terms
        Log of each factor against the customer that ``base_minor`` stands for, (n,).

    Notes
    -----
    The logs are weighed by the logarithmic mean of both amounts, as the logarithmic mean Divisia index does: no order
    of the factors is better than another, and equal logs get equal money.

    References
    ----------
    Ang 2005, "The LMDI approach to decomposition analysis", equation 3.

    Examples
    --------
    >>> parts = share_out({"twice": np.log([2.0]), "half": np.log([0.5])}, np.array([100]), 100)
    >>> {name: int(part[0]) for name, part in parts.items()}
    {'twice': 69, 'half': -69, 'rest': 0}
    """
    predicted = np.maximum(predicted_minor.astype(np.float64), 0.5)
    base = max(float(base_minor), 0.5)
    logs = np.log(predicted) - np.log(base)
    with np.errstate(all="ignore"):
        weight = np.where(np.abs(logs) < 1e-9, predicted, (predicted - base) / logs)
    sums = np.zeros(len(predicted))
    given = np.zeros(len(predicted), dtype=np.int64)
    parts: dict[str, Ints] = {}
    for name, term in log_terms.items():
        # Rounding the running sum, not each part, keeps every part within a minor unit of exact.
        sums = sums + weight * term
        parts[name] = np.rint(sums).astype(np.int64) - given
        given = given + parts[name]
    parts[REST] = predicted_minor - base_minor - given
    return parts
