"""Customers put together from two: some groups of features from the one, the others from the other, still consistent.

Features are tied by construction: age is the last purchase's age plus silence, revenue is the mean times purchases. A
group is therefore what can change on its own; what hangs on two groups is worked out anew where they part.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from clv.features import FEATURE_INDEX, FEATURE_NAMES, RECENT_HALF_LIVES_DAYS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from clv.ports import Floats, Ints

GROUPS: dict[str, tuple[str, ...]] = {
    "history": (
        "order_count",
        "repeat_purchase_count",
        "last_purchase_age_days",
        "mean_gap_days",
        "gap_cv",
        *(f"recent_purchases_{days}d" for days in RECENT_HALF_LIVES_DAYS),  # as of the last purchase
    ),
    "silence": ("customer_age_days", "days_since_last_order", "recency_ratio"),
    "value": (
        "mean_purchase_value_minor",
        "mean_repeat_value_minor",
        "first_purchase_value_minor",
        "last_purchase_value_minor",
        "revenue_minor",
        "value_cv",
    ),
    "refunds": ("return_rate",),
    "email": ("email_sent_count", "email_open_rate", "email_click_rate"),
    "acquisition": ("acquisition_cost_minor", "has_acquisition", "source_code", "campaign_code"),
    "category": ("category_count", "category_code"),
}
"""Features by group; the names are stable. See docs/explanations.md for what each says."""
GROUP_NAMES = tuple(GROUPS)

_COUNT = len(GROUP_NAMES)
ALL: Ints = np.arange(2**_COUNT)
"""Every coalition of groups."""
_HISTORY, _SILENCE, _VALUE = (GROUP_NAMES.index(name) for name in ("history", "silence", "value"))
_HAS_GROUP: NDArray[np.bool_] = (ALL[:, None] >> np.arange(_COUNT) & 1).astype(np.bool_)
_GROUP_OF = np.array(
    [next(place for place, names in enumerate(GROUPS.values()) if name in names) for name in FEATURE_NAMES]
)
_HUGE = 1e300


def hybrids(own: Floats, reference: Floats, coalitions: Ints = ALL) -> Floats:
    """Return hybrids of each customer and its reference, (n, len(coalitions), len(FEATURE_NAMES)), all finite.

    Parameters
    ----------
    own, reference
        (n, len(FEATURE_NAMES)) feature rows.
    coalitions
        Bit g of each says that group g is the customer's own; every one there is unless given.

    Notes
    -----
    Coalition 0 is the reference, the last the customer, both as they were given, to the last bit. Whose a group is
    makes no difference where it is equal in both, but for rounding in ``recent_*`` of equal histories after different
    silences.
    """
    has_group = _HAS_GROUP[coalitions]
    rows: Floats = np.where(has_group[:, _GROUP_OF], own[:, None, :], reference[:, None, :])
    columns, others = np.ascontiguousarray(own.T), np.ascontiguousarray(reference.T)
    for is_own, ours, theirs in ((True, columns, others), (False, others, columns)):
        for place, after in ((_SILENCE, _after_silence), (_VALUE, _at_value)):
            apart = (has_group[:, _HISTORY] == is_own) & (has_group[:, place] != is_own)
            with np.errstate(all="ignore"):
                mixed = after(ours, theirs)
            for name, values in mixed.items():
                rows[:, apart, FEATURE_INDEX[name]] = _finite(values)[:, None]
    return rows


def _after_silence(ours: Floats, theirs: Floats) -> dict[str, Floats]:
    """Features of our history after the other customer's silence; columns are (len(FEATURE_NAMES), n)."""
    silence, other = _silence_days(ours), _silence_days(theirs)
    is_same = silence == other
    gap = _column(ours, "mean_gap_days")
    mixed = {
        "customer_age_days": _column(ours, "last_purchase_age_days") + other,
        "recency_ratio": np.where((_purchases(ours) > 1.0) & (gap > 0.0), other / gap, 0.0),
    }
    for days in RECENT_HALF_LIVES_DAYS:
        name = f"recent_purchases_{days}d"
        decayed = _column(ours, name) * np.exp2(np.clip((silence - other) / days, -_HUGE, 1_000.0))
        # Just after the last purchase each counts one at most.
        mixed[name] = np.minimum(decayed, np.maximum(_purchases(ours), _column(ours, name)))
    return {name: np.where(is_same, _column(ours, name), values) for name, values in mixed.items()}


def _at_value(ours: Floats, theirs: Floats) -> dict[str, Floats]:
    """Features of our history at the other customer's value.

    The mean stays theirs, and so does the mean of repeats; the first purchase takes the difference. One purchase has no
    repeats, spread or last one: then these are ours, at their level.
    """
    purchases, others = _purchases(ours), _purchases(theirs)
    mean, own_mean = _column(theirs, "mean_purchase_value_minor"), _column(ours, "mean_purchase_value_minor")
    level = np.where(own_mean > 0.0, mean / own_mean, 0.0)
    first = _column(theirs, "first_purchase_value_minor")
    total = purchases * mean
    repeats = np.maximum(purchases - 1.0, 1.0)
    first = np.clip(total - repeats * _column(theirs, "mean_repeat_value_minor"), np.minimum(first, mean), total)
    zero = np.zeros(len(mean))
    anew = {
        "mean_purchase_value_minor": mean,
        "mean_repeat_value_minor": (total - first) / repeats,
        "first_purchase_value_minor": first,
        "last_purchase_value_minor": _column(theirs, "last_purchase_value_minor"),
        "revenue_minor": total,
        "value_cv": _column(theirs, "value_cv"),
    }
    once = dict.fromkeys(GROUPS["value"], mean) | {"mean_repeat_value_minor": zero, "value_cv": zero}
    levelled = {name: _column(ours, name) * level for name in GROUPS["value"]}
    levelled["value_cv"] = _column(ours, "value_cv")
    cases = [purchases <= 1.0, others <= 1.0, purchases == others]
    return {
        name: np.select(cases, [once[name], levelled[name], _column(theirs, name)], values)
        for name, values in anew.items()
    }


def _column(columns: Floats, name: str) -> Floats:
    found: Floats = columns[FEATURE_INDEX[name]]
    return found


def _silence_days(columns: Floats) -> Floats:
    days = _column(columns, "customer_age_days") - _column(columns, "last_purchase_age_days")
    return np.maximum(days, 0.0)


def _purchases(columns: Floats) -> Floats:
    return _column(columns, "repeat_purchase_count") + 1.0


def _finite(values: Floats) -> Floats:
    result: Floats = np.nan_to_num(values, nan=0.0, posinf=_HUGE, neginf=0.0)
    return result
