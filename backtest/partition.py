"""One partition in memory: the worker's pipeline and rows, without a broker or a changelog."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from clv.moments import features_at
from clv.pipeline import Partition, Record, process
from clv.rows import EncodedRows
from clv.state import decode_row, due_of
from clv.timers import TimerIndex
from clv.watermark import PartitionState
from models.histories import past_at

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from clv.outcomes import Outcome
    from clv.rules import Rules
    from clv.state import CustomerState
    from clv.verdicts import Judgement
    from models.histories import Past

TOPIC = "backtest"
_INCARNATION = 0


class Position(NamedTuple):
    """Everything that a partition holds, as plain data: rows by customer, its own row."""

    rows: dict[str, bytes]
    state: PartitionState


class MemoryPartition:
    """Feeds records to ``clv.pipeline.process`` and keeps the rows, encoded as a worker's store keeps them."""

    def __init__(self, position: Position | None = None) -> None:
        rows, self._state = position or Position({}, PartitionState(topic_id=TOPIC))
        self._rows = EncodedRows(rows, _INCARNATION)
        timers = TimerIndex((due_of(row), customer) for customer, row in rows.items())
        self._partition = Partition(TOPIC, 0, self._state, self._rows, timers)

    def __len__(self) -> int:
        return len(self._rows.rows)

    @property
    def position(self) -> Position:
        """What ``MemoryPartition`` goes on from; not a copy."""
        return Position(self._rows.rows, self._state)

    def feed(self, values: Sequence[tuple[bytes | None, bytes]], judgement: Judgement) -> list[Outcome]:
        """Process keys and values as one batch, write the changed rows back, and return the outcomes in order."""
        offset = self._state.applied_offset + 1
        records = [Record(offset + place, key, value) for place, (key, value) in enumerate(values)]
        batch = process(records, self._partition, judgement)
        self._rows.put(batch.changed)
        return batch.outcomes

    def features(self, customer_id: str, as_of_ms: int) -> tuple[float, ...] | None:
        """Return a customer's features; None where the pipeline has applied no order of it.

        ``as_of_ms`` is no earlier than anything applied so far.
        """
        row = self._rows.get(customer_id)
        return features_at(row.state, as_of_ms) if row and row.state.totals.order_count else None

    def past(self, as_of_ms: int, rules: Rules) -> Past | None:
        """Return the customers as they were at a moment, ordered by id; None where nobody had bought."""
        return past_at(self._states(), as_of_ms, rules)

    def _states(self) -> Iterator[tuple[str, CustomerState]]:
        for customer_id, row in sorted(self._rows.rows.items()):
            yield customer_id, decode_row(row, _INCARNATION).state
