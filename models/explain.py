"""Why a customer's score is what it is: how much money each group of features makes of the difference to a typical one.

Exact Shapley values with a reference customer, and the scorer itself as the game: whatever answers (a member, their
blend, the prior) is explained as it is, without a surrogate. docs/explanations.md says what it means and what not.
"""

from __future__ import annotations

from itertools import accumulate
from math import factorial
from typing import TYPE_CHECKING, Protocol

import msgspec
import numpy as np

from clv.errors import FeatureMismatch
from clv.features import FEATURE_NAMES
from clv.outcomes import ModelVersions
from clv.ports import Scorer
from models.hybrids import ALL, GROUP_NAMES, hybrids
from models.reference import PRIOR_TYPICAL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clv.ports import Floats, Ints

BATCH_ROWS = 32
"""Customers explained in one call of the scorer: some 4,000 rows, a few megabytes."""

_COUNT = len(GROUP_NAMES)
_WITHOUT = np.array([ALL[ALL >> group & 1 == 0] for group in range(_COUNT)])
_WITH = _WITHOUT + 2 ** np.arange(_COUNT)[:, None]
_SIZES = np.array([[int(coalition).bit_count() for coalition in row] for row in _WITHOUT])
# Shapley 1953, as in Lundberg & Lee 2017, equation 4: of all orders of the groups, the share in which exactly these
# come before the group.
_SHARES = np.array([factorial(size) * factorial(_COUNT - size - 1) / factorial(_COUNT) for size in range(_COUNT)])
_WEIGHTS = _SHARES[_SIZES]


class ExplainedScorer(Scorer, Protocol):
    """What ``explain`` asks of a scorer: scores, and whom its models hold for typical."""

    def reference_at(self, as_of_ms: int) -> tuple[float, ...]:
        """Return the feature row of the typical customer of whatever scores at a moment; empty where none is known."""
        ...


class Explanation(msgspec.Struct, frozen=True):
    """A score taken apart, minor units over the horizon.

    ``contributions`` holds one amount for each of ``models.hybrids.GROUP_NAMES``; to the rounding of floats they sum to
    ``score_minor − base_minor``. ``base_minor`` is the typical customer's score, ``versions`` name the models.
    """

    base_minor: float
    score_minor: float
    contributions: dict[str, float]
    versions: ModelVersions

    def in_whole_minor(self) -> dict[str, int]:
        """Return the contributions in whole minor units: they sum exactly to the rounded score less the rounded base.

        Each lies within a minor unit of its contribution.

        Examples
        --------
        >>> Explanation(10.4, 11.8, {"history": 0.7, "silence": 0.7}, ModelVersions()).in_whole_minor()
        {'history': 1, 'silence': 1}
        """
        sums = list(accumulate(self.contributions.values(), initial=self.base_minor))
        whole = [round(each) for each in sums]
        whole[-1] = round(self.score_minor)
        return {name: whole[place + 1] - whole[place] for place, name in enumerate(self.contributions)}


def explain(scorer: ExplainedScorer, features_row: Floats, as_of_ms: int) -> Explanation:
    """Explain the score of one customer; see ``explain_many``.

    Parameters
    ----------
    features_row
        (len(FEATURE_NAMES),) in natural units, finite: what was scored.
    as_of_ms
        The moment it was scored for, epoch milliseconds.
    """
    row = np.asarray(features_row, dtype=np.float64).reshape(1, -1)
    return next(explain_many(scorer, row, np.array([as_of_ms], dtype=np.int64)))


def explain_many(scorer: ExplainedScorer, features: Floats, as_of_ms: Ints) -> Iterator[Explanation]:
    """Explain customers' scores one after the other, in bounded memory however many they are.

    Parameters
    ----------
    features, as_of_ms
        (n, len(FEATURE_NAMES)) and (n,), as for ``Scorer.score``.

    Returns
    -------
    Iterator of Explanation
        In the rows' order; each depends on its row and the models in force alone.

    Raises
    ------
    FeatureMismatch
        When the rows have another shape.

    Notes
    -----
    Each customer costs the scores of ``2 ** len(GROUPS)`` rows; deterministic.

    References
    ----------
    Shapley 1953, "A value for n-person games". Lundberg & Lee 2017, "A unified approach to interpreting model
    predictions". Sundararajan & Najmi 2020, "The many Shapley values for model explanation": this is their baseline
    Shapley.
    """
    if features.ndim != 2 or features.shape[1] != len(FEATURE_NAMES):
        raise FeatureMismatch(f"rows have shape {features.shape}, not (n, {len(FEATURE_NAMES)})")
    batches = (slice(start, start + BATCH_ROWS) for start in range(0, len(features), BATCH_ROWS))
    return (each for batch in batches for each in _explained(scorer, features[batch], as_of_ms[batch]))


def _explained(scorer: ExplainedScorer, features: Floats, as_of_ms: Ints) -> list[Explanation]:
    references = np.array([scorer.reference_at(moment) or PRIOR_TYPICAL for moment in as_of_ms.tolist()])
    rows = hybrids(features, references).reshape(-1, len(FEATURE_NAMES))
    batch = scorer.score(rows, np.repeat(as_of_ms, len(ALL)))
    worth = batch.clv.reshape(-1, len(ALL))
    # Differences first: a group that changes nothing gets exactly 0. ``take`` keeps the sums' order, whatever n is.
    gained = np.take(worth, _WITH, axis=1) - np.take(worth, _WITHOUT, axis=1)
    parts = (gained * _WEIGHTS).sum(axis=-1)
    versions = batch.version.reshape(worth.shape)[:, -1].tolist()
    return [
        Explanation(
            base_minor=float(worth[place, 0]),
            score_minor=float(worth[place, -1]),
            contributions=dict(zip(GROUP_NAMES, parts[place].tolist(), strict=True)),
            versions=batch.versions[versions[place]],
        )
        for place in range(len(worth))
    ]
