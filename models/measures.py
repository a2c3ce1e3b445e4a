"""How good predictions were, over arrays: the metrics of the accuracy protocol.

Values are what came, predictions what was said before, arrays of shape (n,) in the same major unit. What is not
defined for the data at hand (a rank correlation of constants, a share of nothing) is None.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

import numpy as np
from scipy.stats import rankdata

from models.evaluation import tweedie_deviance

if TYPE_CHECKING:
    from clv.ports import Floats, Ints

_GROUPS = 10


class Metrics(TypedDict):
    """Metrics of one model over n moments.

    ``deviance`` is Tweedie's of power 1.5, in square roots of the major unit; ``mae``, ``rmse``, ``mean_actual`` and
    ``max_predicted`` are in the major unit; ``ratio`` is the predicted total over the realised one.
    """

    n: int
    mean_actual: float
    deviance: float
    mae: float
    rmse: float
    r2: float | None
    gini: float | None
    spearman: float | None
    ratio: float | None
    decile_mape: float | None
    top_decile_share: float | None
    max_predicted: float


def metrics(actual: Floats, predicted: Floats) -> Metrics:
    """Return all metrics of at least one prediction.

    Notes
    -----
    Deciles are formed after a seeded shuffle, so that ties in the predictions favour no order of the rows.
    """
    shuffled = np.random.default_rng(0).permutation(len(actual))
    y, p = actual[shuffled], predicted[shuffled]
    total, spread = float(y.sum()), float(((y - y.mean()) ** 2).sum())
    squares = (y - p) ** 2
    top = y[np.argsort(-p, kind="stable")[: len(y) // _GROUPS]]
    mean_y, mean_p = decile_means(y, p)
    return {
        "n": len(y),
        "mean_actual": float(y.mean()),
        "deviance": float(tweedie_deviance(y, p).mean()),
        "mae": float(np.abs(y - p).mean()),
        "rmse": float(np.sqrt(squares.mean())),
        "r2": float(1.0 - squares.sum() / spread) if spread > 0.0 else None,
        "gini": normalised_gini(y, p),
        "spearman": spearman(y, p),
        "ratio": float(p.sum() / total) if total > 0.0 else None,
        "decile_mape": _relative_error(mean_y, mean_p) if total > 0.0 and len(y) >= _GROUPS else None,
        "top_decile_share": float(top.sum() / total) if total > 0.0 and len(y) >= _GROUPS else None,
        "max_predicted": float(p.max()),
    }


def _relative_error(actual: Floats, predicted: Floats) -> float:
    return float(np.mean(np.abs(predicted - actual) / np.maximum(actual, 1e-9)))


def deciles(predicted: Floats) -> Ints:
    """Return each prediction's tenth, (n,): 0 for the highest, 9 for the lowest; ties in the rows' order."""
    group = np.empty(len(predicted), dtype=np.int64)
    group[np.argsort(-predicted, kind="stable")] = np.arange(len(predicted)) * _GROUPS // len(predicted)
    return group


def decile_means(actual: Floats, predicted: Floats) -> tuple[Floats, Floats]:
    """Return mean value and mean prediction of each tenth by prediction, (10,) each, the highest first."""
    group = deciles(predicted)
    size = np.maximum(np.bincount(group, minlength=_GROUPS), 1)
    return np.bincount(group, actual, _GROUPS) / size, np.bincount(group, predicted, _GROUPS) / size


def normalised_gini(actual: Floats, predicted: Floats) -> float | None:
    """Return how well predictions rank values: 1 as the values themselves would, 0 by chance; None if all are zero.

    Notes
    -----
    Tied predictions share their values' mean, so that no order of the rows can help.

    References
    ----------
    Wang, Liu & Miao 2019, arXiv:1912.07753.

    Examples
    --------
    >>> normalised_gini(np.array([0.0, 1.0, 3.0]), np.array([1.0, 2.0, 9.0]))
    1.0
    """
    if actual.sum() <= 0.0:
        return None
    best = _area(actual, actual)
    return float(_area(actual, predicted) / best)


def gain(actual: Floats, by: Floats) -> Floats:
    """Return the share of all value that the first k of n hold, best ``by`` first, (n,); ties share their mean."""
    order = np.argsort(-by, kind="stable")
    values, ranks = actual[order], by[order]
    group = np.cumsum(np.r_[True, ranks[1:] != ranks[:-1]]) - 1
    values = (np.bincount(group, values) / np.bincount(group))[group]
    shares: Floats = np.cumsum(values) / values.sum()
    return shares


def _area(actual: Floats, by: Floats) -> float:
    return float(2.0 * gain(actual, by).sum() / len(actual) - 1.0)


def spearman(actual: Floats, predicted: Floats) -> float | None:
    """Return the rank correlation, ties averaged; None where either side is constant."""
    ranks = rankdata(actual) - (len(actual) + 1) / 2.0, rankdata(predicted) - (len(actual) + 1) / 2.0
    scale = float(np.sqrt((ranks[0] ** 2).sum() * (ranks[1] ** 2).sum()))
    return float((ranks[0] * ranks[1]).sum() / scale) if scale > 0.0 else None
