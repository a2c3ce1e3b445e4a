"""Customers' pasts as refits see them, out of their states: purchase histories, and windows."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from clv.rfm import totals_at
from clv.rules import DAY_MS
from clv.windows import WindowSample
from models.btyd import Histories, histories_from_days

if TYPE_CHECKING:
    from collections.abc import Iterable

    from clv.rules import Rules
    from clv.state import CustomerState
    from clv.windows import Windows

MAX_HISTORIES = 200_000
"""A fit takes no more customers than this."""


class Past(NamedTuple):
    """Customers as they were at a moment: everyone's history, and windows of a sample."""

    histories: Histories
    windows: Windows


def past_at(states: Iterable[tuple[str, CustomerState]], as_of_ms: int, rules: Rules) -> Past | None:
    """Return what customers had done by a moment; None where nobody had bought.

    Parameters
    ----------
    states
        By customer id; may be ahead of the moment. Taken one by one until ``MAX_HISTORIES`` of them had bought.
    rules
        Say how long a window lasts.
    """
    rows: list[tuple[float, ...]] = []
    sample = WindowSample()
    for customer_id, state in states:
        if history := _history(state, as_of_ms):
            rows.append(history)
            sample.add(customer_id, state, as_of_ms, rules)
            if len(rows) >= MAX_HISTORIES:
                break
    if not rows:
        return None
    x, span, age, mean, repeat = np.array(rows, dtype=np.float64).T
    histories = histories_from_days(x, span, age, mean_minor=mean, mean_repeat_minor=repeat)
    return Past(histories, sample.windows())


def _history(state: CustomerState, as_of_ms: int) -> tuple[float, ...] | None:
    totals = totals_at(state, as_of_ms)
    days = totals.purchase_day_count
    if not days:
        return None
    repeat_minor = (totals.revenue_minor - totals.first_day_minor) / (days - 1) if days > 1 else 0.0
    span = totals.last_purchase_day - totals.first_purchase_day
    age = max(as_of_ms // DAY_MS - totals.first_purchase_day, 0)
    return days - 1, span, age, totals.revenue_minor / days, repeat_minor
