"""The typical customer, against whom others are explained: plain numbers, a feature row like any other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from clv.features import FEATURE_INDEX, FEATURE_NAMES, RECENT_HALF_LIVES_DAYS
from clv.rules import DAY_MS

if TYPE_CHECKING:
    from clv.ports import Floats
    from clv.windows import Windows


def typical(windows: Windows, now_ms: int) -> tuple[float, ...]:
    """Return the feature row of a typical customer: medians over each customer's latest window; empty without windows.

    Parameters
    ----------
    windows
        Customer by customer, each customer's oldest first, as ``WindowSample.windows`` returns them.
    now_ms
        The moment; who has bought nothing since their window is as much more silent.

    Notes
    -----
    Medians of what can vary on its own, lower ones, so that counts stay whole; what hangs on them is worked out.
    Lengths, gaps and spreads are medians over the customers with the median count of purchases. Codes are 0, "none":
    to the models that is the average of all names.
    """
    if not len(windows.customer):
        return ()
    latest = np.flatnonzero(np.diff(windows.customer, append=-1))
    rows = windows.features[latest]
    waited_days = np.where(
        windows.value_minor[latest] > 0.0, 0, np.maximum(now_ms - windows.as_of_ms[latest], 0) / DAY_MS
    )
    silence = _column(rows, "customer_age_days") - _column(rows, "last_purchase_age_days")
    repeats = _median(_column(rows, "repeat_purchase_count"))
    alike = _column(rows, "repeat_purchase_count") == repeats
    found = {
        "repeat_purchase_count": repeats,
        "order_count": max(_median(_column(rows, "order_count")), repeats + 1.0),
        "return_rate": _median(_column(rows, "return_rate")),
        "category_count": _median(_column(rows, "category_count")),
        "days_since_last_order": _median(_column(rows, "days_since_last_order") + waited_days),
    }
    found |= _purchase_days(rows[alike], silence[alike], repeats, _median(silence + np.floor(waited_days)))
    found |= _values(rows[alike], repeats, _median(_column(rows, "mean_purchase_value_minor")))
    found |= _given(rows, "email_sent_count", ("email_open_rate", "email_click_rate"))
    found |= _given(rows, "has_acquisition", ("acquisition_cost_minor",))
    return _row(found)


def _purchase_days(alike: Floats, silences: Floats, repeats: float, silence: float) -> dict[str, float]:
    span = _median(_column(alike, "last_purchase_age_days"))
    gap = span / repeats if repeats else 0.0
    found = {
        "last_purchase_age_days": span,
        "customer_age_days": span + silence,
        "mean_gap_days": gap,
        "gap_cv": _median(_column(alike, "gap_cv")),
        "recency_ratio": silence / gap if gap else 0.0,
    }
    for days in RECENT_HALF_LIVES_DAYS:
        name = f"recent_purchases_{days}d"
        at_last = _column(alike, name) * np.exp2(np.clip(silences / days, 0.0, 1_000.0))
        found[name] = min(_median(at_last), repeats + 1.0) * 2.0 ** (-silence / days)
    return found


def _values(alike: Floats, repeats: float, mean: float) -> dict[str, float]:
    def share(name: str) -> float:
        means = _column(alike, "mean_purchase_value_minor")
        shares = np.divide(_column(alike, name), means, out=np.ones(len(means)), where=means > 0.0)
        return _median(shares)

    total = mean * (repeats + 1.0)
    first = min(max(total - repeats * mean * share("mean_repeat_value_minor"), 0.0), total) if repeats else mean
    return {
        "mean_purchase_value_minor": mean,
        "mean_repeat_value_minor": (total - first) / repeats if repeats else 0.0,
        "first_purchase_value_minor": first,
        "last_purchase_value_minor": mean * share("last_purchase_value_minor") if repeats else mean,
        "revenue_minor": total,
        "value_cv": _median(_column(alike, "value_cv")),
    }


def _given(rows: Floats, condition: str, names: tuple[str, ...]) -> dict[str, float]:
    """Medians of features that say something only where the condition is above 0."""
    typical_condition = _median(_column(rows, condition))
    has = rows[_column(rows, condition) > 0.0] if typical_condition > 0.0 else rows[:0]
    return {condition: typical_condition} | {name: _median(_column(has, name)) if len(has) else 0.0 for name in names}


def _column(rows: Floats, name: str) -> Floats:
    return np.ascontiguousarray(rows[:, FEATURE_INDEX[name]], dtype=np.float64)


def _median(values: Floats) -> float:
    return float(np.quantile(values, 0.5, method="lower"))


def _row(values: dict[str, float]) -> tuple[float, ...]:
    return tuple(float(values.get(name, 0.0)) for name in FEATURE_NAMES)


def _bought_once(value_minor: float, silence_days: float) -> tuple[float, ...]:
    money = ("mean_purchase", "first_purchase", "last_purchase")
    days = ("customer_age_days", "days_since_last_order")
    recent = {f"recent_purchases_{half}d": 2.0 ** (-silence_days / half) for half in RECENT_HALF_LIVES_DAYS}
    return _row(
        {"order_count": 1.0, "revenue_minor": value_minor}
        | {f"{name}_value_minor": value_minor for name in money}
        | dict.fromkeys(days, silence_days)
        | recent
    )


PRIOR_TYPICAL = _bought_once(5_000.0, 90.0)
"""Who is typical where nobody was seen: one purchase of 5,000 minor units 90 days ago; assumed, like the prior."""
