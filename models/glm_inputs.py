"""What the regression looks at: behaviour, marketing attributes, and what names are worth of new customers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from clv.features import FEATURE_INDEX, RECENT_HALF_LIVES_DAYS

if TYPE_CHECKING:
    from clv.ports import Floats
    from models.btyd import BtydAnswer

BEHAVIOUR_NAMES = (
    "repeat_purchases",
    "days_since_last_purchase",
    "customer_age",
    "last_purchase_age",
    "expected_orders",
    "probability_alive",
    "mean_value",
    "mean_gap",
    "gap_cv",
    "silence_over_gap",
    "recent_rate_30d",
    "recent_rate_60d",
    "recent_rate_120d",
    "never_repeated",
    "repeated_once",
    "repeat_purchases_squared",
    "repeat_purchases_x_silence",
    "silence_squared",
    "never_repeated_x_silence",
    "never_repeated_x_age",
)
ATTRIBUTE_NAMES = (
    "return_rate",
    "category_count",
    "email_sent",
    "email_open_rate",
    "email_click_rate",
    "acquisition_cost",
    "has_acquisition",
)
EFFECT_NAMES = ("source_effect_x_newness", "campaign_effect_x_newness", "category_effect_x_newness")
INPUT_NAMES = (*BEHAVIOUR_NAMES, *ATTRIBUTE_NAMES, *EFFECT_NAMES)
"""Logs of counts, days and money; rates and shares as they are; effects as ``models.encoding`` has learnt them.

What a name says counts by a customer's newness: the longer somebody has been known, the more of it BTYD has seen
already. BG/NBD expects orders at (r + x) / (α + age), so a name that multiplies the rate of everybody who bears it
moves that by its part of α / (α + age).
"""


def column(features: Floats, name: str) -> Floats:
    """Return a feature of rows (n, len(FEATURE_NAMES)), (n,)."""
    # Contiguous, because strided arrays may take another vector path with other last bits.
    return np.ascontiguousarray(features[:, FEATURE_INDEX[name]], dtype=np.float64)


def newness(features: Floats, newness_days: float) -> Floats:
    """Return how much of what a name says counts, (n,) in 0-1: half of it at ``newness_days`` of age."""
    result: Floats = newness_days / (newness_days + np.maximum(column(features, "customer_age_days"), 0.0))
    return result


def inputs(features: Floats, answer: BtydAnswer) -> Floats:
    """Return behaviour, then attributes, a row each, from features (n, len(FEATURE_NAMES)) and BTYD's answer."""

    def logged(name: str) -> Floats:
        return np.log1p(np.maximum(column(features, name), 0.0))

    repeats, age, gap = logged("repeat_purchase_count"), logged("customer_age_days"), logged("mean_gap_days")
    days = column(features, "customer_age_days")
    silence = np.log1p(np.maximum(days - column(features, "last_purchase_age_days"), 0.0))
    purchases = np.maximum(column(features, "repeat_purchase_count"), 0.0) + 1.0
    never, once = (purchases == 1.0).astype(np.float64), (purchases == 2.0).astype(np.float64)
    rows = [
        repeats,
        silence,
        age,
        logged("last_purchase_age_days"),
        np.log(answer.orders + 1e-3),
        np.log(np.maximum(answer.alive, 1e-3)),
        logged("mean_purchase_value_minor"),
        gap,
        column(features, "gap_cv"),
        np.where(never > 0.0, 0.0, silence - gap),
        *(_recent_rate(features, purchases, days, half_life) for half_life in RECENT_HALF_LIVES_DAYS),
        never,
        once,
        repeats * repeats,
        repeats * silence,
        silence * silence,
        never * silence,
        never * age,
        column(features, "return_rate"),
        logged("category_count"),
        logged("email_sent_count"),
        column(features, "email_open_rate"),
        column(features, "email_click_rate"),
        logged("acquisition_cost_minor"),
        column(features, "has_acquisition"),
    ]
    return np.stack(rows)


def _recent_rate(features: Floats, purchases: Floats, days: Floats, half_life: int) -> Floats:
    """Log of recent purchases over what an even rate would have left of all of them."""
    memory = half_life / np.log(2.0)
    even = purchases * np.minimum(1.0, memory / (days + half_life))
    result: Floats = np.log((column(features, f"recent_purchases_{half_life}d") + 0.5) / (even + 0.5))
    return result
