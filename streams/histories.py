"""Customers as the stored states know them at a moment, and up to which moment the states are stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from clv.errors import StoreUnavailable
from clv.outcomes import rfc3339
from clv.rules import Rules
from clv.state import decode_row
from clv.watermark import PartitionState
from models.histories import past_at
from storage.states import iter_states, rows_of_key
from streams.rows import PARTITION_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clv.settings import Settings
    from clv.state import CustomerState
    from models.histories import Past
    from storage.engine import Database


def read_past(database: Database, as_of_ms: int, rules: Rules) -> Past | None:
    """Return what the stored customers had done by a moment; None where nobody had bought.

    Memory grows with the number of customers up to ``models.histories.MAX_HISTORIES``, of which the first by partition
    and id are taken.

    Raises
    ------
    StoreUnavailable
        When a retry may help; also while the states of a partition have not been stored up to ``as_of_ms``: customers
        would look silent who were not.
    """
    return past_at(_states(database, as_of_ms, rules), as_of_ms, rules)


def stored_through_ms(database: Database, settings: Settings) -> int:
    """Return up to which event time SQL holds states and examples of every partition; -1 where one is missing."""
    rules = Rules.from_settings(settings)
    marks = [watermark_of(row, rules) for row in rows_of_key(database, PARTITION_KEY).values()]
    return max(min(marks), -1) if len(marks) == settings.partitions else -1


def watermark_of(row: bytes, rules: Rules) -> int:
    """Return the watermark in a partition's own row, epoch milliseconds; far below 0 before anything was seen."""
    return msgspec.msgpack.decode(row, type=PartitionState).watermark_ms(rules)


def _states(database: Database, as_of_ms: int, rules: Rules) -> Iterator[tuple[str, CustomerState]]:
    for chunk in iter_states(database):
        for partition, key, row in chunk:
            # A partition's own row comes first, so that its customers' rows are at least as new.
            if key == PARTITION_KEY:
                _require_stored(partition, row, as_of_ms, rules)
            else:
                yield key.decode(), decode_row(row, 0).state


def _require_stored(partition: int, row: bytes, as_of_ms: int, rules: Rules) -> None:
    stored_ms = watermark_of(row, rules)
    if stored_ms < as_of_ms:
        raise StoreUnavailable(
            f"the states of partition {partition} are stored up to {rfc3339(stored_ms) or 'nothing'}, "
            f"a refit needs them up to {rfc3339(as_of_ms)}",
            "the sink stores them: does it run?",
        )
