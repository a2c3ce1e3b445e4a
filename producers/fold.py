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

    ``table`` has a row each: line, customer, order, part, ordinal, at, amount, acquisition, refunded, names_order; a
    negative ``amount`` is a refund. ``part`` is above 0 for what an order's id brings on a later day than its first:
    the event-day + 1. ``names_order`` says whether such a part is a refund of the first day's order. Row i has the
    categories ``category[start[i]:start[i + 1]]``.
    """

    table: pd.DataFrame
    start: NDArray[np.int64]
    category: NDArray[np.int64]


def fold(lines: pd.DataFrame) -> Folded:
    """Fold checked lines into orders and refunds.

    Lines of one customer that share an order id and the UTC day are one order: their net, dated at the earliest. What
    happens later must not change what was known of the order on its day, so lines on a later day than its first are no
    part of it: a net below zero is a refund of it, another one an order of its own. With such an order in between, a
    refund names none: it takes all of its amount. So does a net below zero on the first day. A line without an order id
    is an order, or a refund, of its own.

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
    table["names_order"] = _names_order(table)
    table[["acquisition", "refunded"]] = table[["acquisition", "refunded"]].replace(_NONE, -1)
    order = np.lexsort((table["line"].to_numpy(), table["at"].to_numpy()))
    start, category = _categories(lines["category"].to_numpy(), number, order)
    return Folded(table.iloc[order].reset_index(drop=True), start, category)


def _parts(lines: pd.DataFrame) -> pd.Series[int]:
    """Return 0 for a line of an order's first day, else the event-day + 1."""
    day = lines["at"] // DAY_MS
    first_day = day.groupby([lines["customer"], lines["order"]]).transform("min")
    return (day + 1).where((day > first_day) & (lines["order"] >= 0), 0)


def _names_order(table: pd.DataFrame) -> pd.Series[bool]:
    """Tell which parts are refunds of what their order was on its first day; only earlier parts have a say."""
    parts = table.sort_values("part", kind="stable")
    is_order = parts["amount"] >= 0
    keys = [parts["customer"], parts["order"]]
    began_as_order = is_order.groupby(keys).transform("first")
    orders_so_far = is_order.groupby(keys).cumsum()
    return ((parts["part"] > 0) & ~is_order & began_as_order & (orders_so_far == 1)).reindex(table.index)


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
