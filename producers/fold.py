"""Lines to orders and refunds: which lines belong together, what they net to, in order of event time.

Works on number columns only, vectorised; ``producers.orderlog`` gives the numbers their names back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from clv.settings import DAY_MS

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NONE = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Folded:
    """Orders and refunds in order of event time.

    ``table`` has a row each: line, customer, order, part, ordinal, at, amount, acquisition, refunded; a negative
    ``amount`` is a refund. ``part`` is above 0 where a refund was split from its order: its event-day + 1. Row i has
    the categories ``category[start[i]:start[i + 1]]``.
    """

    table: pd.DataFrame
    start: NDArray[np.int64]
    category: NDArray[np.int64]


def fold(lines: pd.DataFrame) -> Folded:
    """Fold checked lines into orders and refunds.

    Lines of one customer that share an order id are one order: their net, dated at the earliest. A negative line on a
    later UTC day than the order's first line is no part of it but a refund of it, dated when it happened: what happens
    later must not change what was known of the order on its day. A net below zero is a refund. A line without an order
    id is an order, or a refund, of its own.

    Parameters
    ----------
    lines
        As ``Lines.frame`` returns them, in the file's order.

    Notes
    -----
    Stable: equal times keep the file's order.
    """
    lines = lines.assign(part=_parts(lines), ordinal=_ordinals(lines))
    lines["acquisition"] = lines["acquisition"].where(lines["acquisition"] >= 0, _NONE)
    lines["refunded"] = lines["refunded"].where(lines["refunded"] >= 0, _NONE)
    own_line = lines["line"].where(lines["order"] < 0, 0)
    groups = lines.groupby(["customer", "order", "part", "ordinal", own_line], sort=False)
    number = np.asarray(groups.ngroup(), dtype=np.int64)
    table = groups.agg(
        at=("at", "min"),
        amount=("amount", "sum"),
        line=("line", "min"),
        acquisition=("acquisition", "min"),
        refunded=("refunded", "min"),
    )
    table = table.reset_index(level=4, drop=True).reset_index()
    table[["acquisition", "refunded"]] = table[["acquisition", "refunded"]].replace(_NONE, -1)
    order = np.lexsort((table["line"].to_numpy(), table["at"].to_numpy()))
    start, category = _categories(lines["category"].to_numpy(), number, order)
    return Folded(table.iloc[order].reset_index(drop=True), start, category)


def _parts(lines: pd.DataFrame) -> pd.Series[int]:
    """Return 0 for a line of the order itself, else the event-day + 1 of the refund that it belongs to."""
    day = lines["at"] // DAY_MS
    keys = [lines["customer"], lines["order"]]
    first_day = day.where(lines["amount"] >= 0, _NONE).groupby(keys).transform("min")
    is_later_refund = (lines["amount"] < 0) & (day > first_day) & (lines["order"] >= 0)
    return (day + 1).where(is_later_refund, 0)


def _ordinals(lines: pd.DataFrame) -> pd.Series[int]:
    """Number the lines without an order id among those of the same customer, time and amount; 0 for the others."""
    ordinal = lines.groupby(["customer", "at", "amount", lines["order"] < 0]).cumcount()
    return ordinal.where(lines["order"] < 0, 0)


def _categories(
    category: NDArray[np.int64], number: NDArray[np.int64], order: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Lay the distinct categories of each order one after the other, orders by event time."""
    position = np.empty(len(order), dtype=np.int64)
    position[order] = np.arange(len(order))
    has_one = category >= 0
    pairs = pd.DataFrame({"order": position[number[has_one]], "category": category[has_one]}).drop_duplicates()
    pairs = pairs.sort_values("order", kind="stable")
    start = np.searchsorted(pairs["order"].to_numpy(), np.arange(len(order) + 1))
    return start.astype(np.int64), pairs["category"].to_numpy(dtype=np.int64)
