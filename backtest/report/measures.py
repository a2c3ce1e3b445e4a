"""The metrics of ``models.measures`` by model and kind of moment, models compared in pairs, intervals judged."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

import numpy as np
import pandas as pd

from models.evaluation import tweedie_deviance
from models.measures import Metrics, metrics

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backtest.report.scored import Scored
    from clv.ports import Floats, Ints

KINDS = ("all", "order", "tick")
BOOTSTRAPS = 200


class Paired(TypedDict):
    """Mean difference of two models' deviances over the n moments that both answered, with a 95 % interval."""

    n: int
    customers: int
    difference: float
    ci95: tuple[float, float]


class Coverage(TypedDict):
    """How often intervals held what came; ``mean_width`` in the major unit."""

    n: int
    coverage: float
    coverage_top_quintile: float
    mean_width: float


def paired_difference(customer: Ints, actual: Floats, ours: Floats, other: Floats) -> Paired | None:
    """Compare two models' mean deviance on the moments that both answered; None where there are none.

    Notes
    -----
    The interval is a percentile bootstrap that resamples customers, not moments: a customer's moments share their
    future. Its seed is fixed.
    """
    both = ~np.isnan(ours) & ~np.isnan(other)
    if not both.any():
        return None
    codes, who = pd.factorize(customer[both])
    gaps = tweedie_deviance(actual[both], ours[both]) - tweedie_deviance(actual[both], other[both])
    total, count = np.bincount(codes, gaps), np.bincount(codes)
    rng = np.random.default_rng(0)
    draws = (rng.integers(0, len(who), len(who)) for _ in range(BOOTSTRAPS))
    low, high = np.percentile([total[draw].sum() / count[draw].sum() for draw in draws], [2.5, 97.5])
    return {
        "n": int(both.sum()),
        "customers": len(who),
        "difference": float(gaps.mean()),
        "ci95": (float(low), float(high)),
    }


def coverage(scored: Scored) -> Coverage | None:
    """Return how often the intervals held what came; None where there are no intervals."""
    has = has_interval(scored)
    if not has.any():
        return None
    inside = is_inside(scored)[has]
    top = scored.predicted[has] >= np.quantile(scored.predicted[has], 0.8)
    return {
        "n": int(has.sum()),
        "coverage": float(inside.mean()),
        "coverage_top_quintile": float(inside[top].mean()),
        "mean_width": float((scored.upper[has] - scored.lower[has]).mean()),
    }


def has_interval(scored: Scored) -> NDArray[np.bool_]:
    """Say which moments came with an interval, (n,)."""
    result: NDArray[np.bool_] = ~(np.isnan(scored.lower) | np.isnan(scored.upper))
    return result


def is_inside(scored: Scored) -> NDArray[np.bool_]:
    """Say which intervals held what came, (n,); those that are missing did not."""
    result: NDArray[np.bool_] = (scored.actual >= scored.lower) & (scored.actual <= scored.upper)
    return result


def by_kind(scored: Scored, predicted: Floats) -> dict[str, Metrics]:
    """Return a model's metrics over the moments that it answered: all of them, orders and ticks apart."""
    answered = ~np.isnan(predicted)
    parts = {"all": answered, "order": answered & scored.is_order, "tick": answered & ~scored.is_order}
    return {kind: metrics(scored.actual[part], predicted[part]) for kind, part in parts.items() if part.any()}
