"""Feature rows and matured examples for the model tests, drawn from a seeded BG/NBD world."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from clv.features import FEATURE_DIGEST, FEATURE_INDEX, FEATURE_NAMES
from clv.outcomes import TrainingExample, rfc3339
from clv.windows import Windows
from models.batch import ExampleArrays

if TYPE_CHECKING:
    from clv.ports import Floats

DAY_MS = 86_400_000
START_MS = 852_076_800_000  # 1997-01-01T00:00:00Z


def feature_rows(count: int, seed: int = 0) -> Floats:
    """Return plausible feature rows: a third bought once, the rest up to a dozen times in up to 400 days."""
    rng = np.random.default_rng(seed)
    rows = np.zeros((count, len(FEATURE_NAMES)))
    repeats = np.where(rng.random(count) < 0.35, 0, rng.geometric(0.3, count)).astype(float)
    age = rng.uniform(0.0, 400.0, count)
    last = np.where(repeats > 0, age * rng.beta(2.0, 1.5, count), 0.0)
    value = rng.gamma(4.0, 1_000.0, count) + 100.0
    columns = {
        "order_count": repeats + 1.0,
        "repeat_purchase_count": repeats,
        "last_purchase_age_days": last,
        "customer_age_days": age,
        "days_since_last_order": age - last,
        "mean_purchase_value_minor": value,
        "mean_repeat_value_minor": np.where(repeats > 0, value * rng.uniform(0.8, 1.2, count), 0.0),
        "first_purchase_value_minor": value * rng.uniform(0.5, 1.5, count),
        "last_purchase_value_minor": value * rng.uniform(0.5, 1.5, count),
        "revenue_minor": value * (repeats + 1.0),
        "mean_gap_days": last / np.maximum(repeats, 1.0),
        "recency_ratio": (age - last) / np.maximum(last / np.maximum(repeats, 1.0), 1.0) * (repeats > 0),
    }
    for name, values in columns.items():
        rows[:, FEATURE_INDEX[name]] = values
    return rows


def absurd_rows() -> Floats:
    """Return finite rows at the edges of what a state can hold, and beyond."""
    rows = np.zeros((6, len(FEATURE_NAMES)))

    def put(row: int, **values: float) -> None:
        for name, value in values.items():
            rows[row, FEATURE_INDEX[name]] = value

    put(1, order_count=1, mean_purchase_value_minor=1e11, first_purchase_value_minor=1e11, revenue_minor=1e11)
    put(2, order_count=100_001, repeat_purchase_count=100_000, last_purchase_age_days=3_650, customer_age_days=3_650)
    put(2, mean_purchase_value_minor=500, mean_repeat_value_minor=500, revenue_minor=5e7)
    put(3, order_count=3, repeat_purchase_count=2, last_purchase_age_days=2_000, customer_age_days=9_000)
    put(3, mean_purchase_value_minor=1, mean_repeat_value_minor=1, gap_cv=50, recency_ratio=1e6)
    put(4, order_count=5, repeat_purchase_count=4, last_purchase_age_days=50, customer_age_days=10)
    put(4, mean_purchase_value_minor=1e14, mean_repeat_value_minor=1e14, acquisition_cost_minor=1e14)
    rows[5] = 1e300
    return rows


def values_of(rows: Floats, seed: int = 1) -> Floats:
    """Return realised values: mostly zero, more often and more for those who buy often and lately."""
    rng = np.random.default_rng(seed)
    repeats = rows[:, FEATURE_INDEX["repeat_purchase_count"]]
    silence = rows[:, FEATURE_INDEX["days_since_last_order"]]
    orders = rng.poisson((repeats + 0.2) / (1.0 + silence / 60.0))
    return np.round(orders * rows[:, FEATURE_INDEX["mean_purchase_value_minor"]] * rng.gamma(4.0, 0.25, len(rows)))


def example_arrays(count: int, seed: int = 0) -> ExampleArrays:
    """Return matured examples, one a minute."""
    rows = feature_rows(count, seed)
    return ExampleArrays(rows, values_of(rows, seed + 1), START_MS + 60_000 * np.arange(count, dtype=np.int64))


def windows(customers: int, seed: int = 0) -> Windows:
    """Return windows of the same world: three for each customer, 30, 60 and 90 days long, ending a year on."""
    rows = feature_rows(3 * customers, seed)
    span = np.tile([30.0, 60.0, 90.0], customers)
    value = np.round(values_of(rows, seed + 1) * span / 90.0)
    as_of = START_MS + (365 - span.astype(np.int64)) * DAY_MS
    return Windows(rows, as_of, span, value, np.repeat(np.arange(customers), 3))


def example(row: Floats, value_minor: float, *, day: int = 0, **predictions: float) -> TrainingExample:
    """Return one matured example of 90 days as the topic carries it, predicted so many days after the start."""
    as_of_ms = START_MS + day * DAY_MS
    said = {name: predictions.get(name, 0.0) for name in ("clv", "btyd", "glm", "online", "ensemble", "naive")}
    return TrainingExample(
        event_id="e",
        customer_id="c",
        as_of=rfc3339(as_of_ms),
        matured_at=rfc3339(as_of_ms + 90 * DAY_MS),
        moment="order",
        horizon_days=90,
        feature_digest=FEATURE_DIGEST,
        features=row.tolist(),
        acquisition_source="",
        campaign_type="",
        clv_minor=said["clv"],
        btyd_minor=said["btyd"],
        glm_minor=said["glm"],
        online_minor=said["online"],
        ensemble_minor=said["ensemble"],
        naive_minor=said["naive"],
        scorer_version="",
        value_minor=int(value_minor),
        currency="USD",
    )
