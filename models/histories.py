"""Customers' purchase histories as the base is fitted to them, out of their states."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from clv.rfm import totals_at
from clv.rules import DAY_MS
from models.btyd import Histories, histories_from_days

if TYPE_CHECKING:
    from collections.abc import Iterable

    from clv.state import CustomerState

MAX_HISTORIES = 200_000
"""A fit takes no more customers than this."""


def histories_at(states: Iterable[CustomerState], as_of_ms: int) -> Histories | None:
    """Return the histories of customers as they were at a moment; None where nobody had bought.

    Parameters
    ----------
    states
        May be ahead of the moment. Taken one by one until ``MAX_HISTORIES`` of them had bought.
    """
    rows: list[tuple[float, ...]] = []
    for state in states:
        if history := _history(state, as_of_ms):
            rows.append(history)
            if len(rows) >= MAX_HISTORIES:
                break
    if not rows:
        return None
    x, span, age, mean, repeat = np.array(rows, dtype=np.float64).T
    return histories_from_days(x, span, age, mean_minor=mean, mean_repeat_minor=repeat)


def _history(state: CustomerState, as_of_ms: int) -> tuple[float, ...] | None:
    totals = totals_at(state, as_of_ms)
    days = totals.purchase_day_count
    if not days:
        return None
    repeat_minor = (totals.revenue_minor - totals.first_day_minor) / (days - 1) if days > 1 else 0.0
    span = totals.last_purchase_day - totals.first_purchase_day
    age = max(as_of_ms // DAY_MS - totals.first_purchase_day, 0)
    return days - 1, span, age, totals.revenue_minor / days, repeat_minor
