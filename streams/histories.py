"""Customers as the stored states know them at a moment, and up to which moment the states are stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from clv.errors import StoreUnavailable
from clv.outcomes import rfc3339
from clv.rfm import totals_at
from clv.rules import DAY_MS, Rules
from clv.state import decode_row
from clv.watermark import PartitionState
from models.btyd import Histories, histories_from_days
from storage.states import iter_states, rows_of_key
from streams.store import PARTITION_KEY

if TYPE_CHECKING:
    from clv.settings import Settings
    from storage.engine import Database

MAX_HISTORIES = 200_000


def read_histories(database: Database, as_of_ms: int, rules: Rules) -> Histories | None:
    """Return BTYD histories of the stored customers as they were at a moment; None where nobody had bought.

    Memory grows with the number of customers up to ``MAX_HISTORIES``, of which the first by partition and id are taken.

    Raises
    ------
    StoreUnavailable
        When a retry may help; also while the states of a partition have not been stored up to ``as_of_ms``: customers
        would look silent who were not.
    """
    rows = []
    for chunk in iter_states(database):
        for partition, key, row in chunk:
            # A partition's own row comes first, so that its customers' rows are at least as new.
            if key == PARTITION_KEY:
                _require_stored(partition, row, as_of_ms, rules)
            elif history := _history(row, as_of_ms):
                rows.append(history)
        if len(rows) >= MAX_HISTORIES:
            break
    if not rows:
        return None
    x, span, age, mean, repeat = np.array(rows, dtype=np.float64).T
    return histories_from_days(x, span, age, mean_minor=mean, mean_repeat_minor=repeat)


def stored_through_ms(database: Database, settings: Settings) -> int:
    """Return up to which event time SQL holds states and examples of every partition; -1 where one is missing."""
    rules = Rules.from_settings(settings)
    marks = [watermark_of(row, rules) for row in rows_of_key(database, PARTITION_KEY).values()]
    return max(min(marks), -1) if len(marks) == settings.partitions else -1


def watermark_of(row: bytes, rules: Rules) -> int:
    """Return the watermark in a partition's own row, epoch milliseconds; far below 0 before anything was seen."""
    return msgspec.msgpack.decode(row, type=PartitionState).watermark_ms(rules)


def _require_stored(partition: int, row: bytes, as_of_ms: int, rules: Rules) -> None:
    stored_ms = watermark_of(row, rules)
    if stored_ms < as_of_ms:
        raise StoreUnavailable(
            f"the states of partition {partition} are stored up to {rfc3339(stored_ms) or 'nothing'}, "
            f"a refit needs them up to {rfc3339(as_of_ms)}",
            "the sink stores them: does it run?",
        )


def _history(row: bytes, as_of_ms: int) -> tuple[float, ...] | None:
    totals = totals_at(decode_row(row, 0).state, as_of_ms)
    days = totals.purchase_day_count
    if not days:
        return None
    repeat_minor = (totals.revenue_minor - totals.first_day_minor) / (days - 1) if days > 1 else 0.0
    span = totals.last_purchase_day - totals.first_purchase_day
    age = max(as_of_ms // DAY_MS - totals.first_purchase_day, 0)
    return days - 1, span, age, totals.revenue_minor / days, repeat_minor
