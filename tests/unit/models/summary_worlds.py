"""Summaries and examples for the tests of aggregated customers, drawn from a seeded BG/NBD world."""

from __future__ import annotations

import numpy as np

from models.aggregated import Examples, Fitted, fit, predict
from models.summaries import Summaries

AS_OF_MS = 20_000 * 86_400_000
SOURCE_FACTORS = {"search": 2.0, "social": 0.5, "": 1.0}


def summaries(count: int = 600, seed: int = 0) -> Summaries:
    """Return plausible customers: a third bought once, the rest up to a dozen times in up to 400 days."""
    rng = np.random.default_rng(seed)
    orders = np.where(rng.random(count) < 0.35, 0, rng.geometric(0.3, count)) + 1.0
    first = np.floor(rng.uniform(1.0, 400.0, count))
    span = np.where(orders > 1, np.floor(first * rng.beta(2.0, 1.5, count)), 0.0)
    value = rng.gamma(4.0, 1_000.0, count) + 100.0
    return Summaries(
        order_count=orders,
        spent_minor=np.rint(value * orders),
        first_days=first,
        last_days=first - span,
        category_count=np.minimum(orders, 5.0),
        cost_minor=np.where(rng.random(count) < 0.5, 900.0, np.nan),
        engagement_rate=rng.random(count),
        return_rate=np.where(rng.random(count) < 0.8, 0.0, rng.random(count)),
        source=rng.choice(list(SOURCE_FACTORS), count).tolist(),
        campaign_type=rng.choice(["brand", "discount"], count).tolist(),
    )


def examples(count: int = 4_000, seed: int = 1, factors: dict[str, float] | None = None) -> Examples:
    """Return customers whose realised value is their source's factor times what BTYD expects, half the time none."""
    rng = np.random.default_rng(seed)
    rows = summaries(count, seed)
    factor = np.array([(SOURCE_FACTORS if factors is None else factors).get(source, 1.0) for source in rows.source])
    expected = expectation(rows)
    value = np.rint(expected * factor * rng.gamma(1.0, 2.0, count) * (rng.random(count) < 0.5))
    return Examples(rows, value, [f"c{number // 2}" for number in range(count)])


def expectation(rows: Summaries) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return what a model without labels predicts of customers, fitted to ``summaries()``."""
    return predict(fitted().model, rows).predicted_minor.astype(np.float64)


def fitted(seen: Examples | None = None) -> Fitted:
    """Fit to ``summaries()``."""
    return fit(summaries(), currency="USD", horizon_days=90, as_of_ms=AS_OF_MS, examples=seen)
