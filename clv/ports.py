"""What the core asks of the outside: protocols that adapters satisfy without inheriting."""

from __future__ import annotations

from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from clv.outcomes import ModelVersions

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class ScoreBatch(msgspec.Struct, frozen=True):
    """Scores of n customers; each array has shape (n,) and keeps the rows' order.

    All values are finite and non-negative, money in minor units of the reporting currency over the horizon.
    ``next_order_ms`` is −1 where no order is expected within two years. ``version`` indexes ``versions``.
    ``has_minimum_data`` is false where the prior answered or the customer's history is too thin. ``custom`` holds what
    custom models say, by name; 0 where one does not answer.
    """

    clv: Floats
    lower: Floats
    upper: Floats
    clv_year: Floats
    churn_probability: Floats
    next_order_ms: Ints
    btyd: Floats
    glm: Floats
    online: Floats
    ensemble: Floats
    naive: Floats
    version: Ints
    versions: tuple[ModelVersions, ...]
    has_minimum_data: NDArray[np.bool_]
    custom: dict[str, Floats] = {}


class Scorer(Protocol):
    """Immutable models that score customers.

    The pipeline calls it once a batch, from the worker's event loop; a worker swaps scorers only between batches.
    A failure stops the worker before anything is acknowledged, so an implementation must not fail on any finite input.
    """

    def score(self, features: Floats, as_of_ms: Ints) -> ScoreBatch:
        """Score rows.

        Parameters
        ----------
        features
            (n, len(FEATURE_NAMES)) in natural units, see ``clv.features``; finite.
        as_of_ms
            (n,) epoch milliseconds: each row uses the newest models with ``learned_through_at`` ≤ its ``as_of_ms``.

        Returns
        -------
        ScoreBatch
            Row i depends on row i alone, whatever else is in the batch.
        """
        ...
