"""What a partition's records must lead to, worked out anew by one pass over the source, without models.

Models decide numbers, not what happens: rows and outcomes are compared without what a model said.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from clv.outcomes import DeadLetter, Score, TrainingExample, WatermarkPassed
from clv.pipeline import Partition, Record, process
from clv.rows import EncodedRows
from clv.segments import Policies
from clv.state import decode_row, incarnation_code
from clv.testing import ConstantScorer
from clv.timers import TimerIndex
from clv.topics import ORDERS
from clv.verdicts import Judgement
from clv.watermark import PartitionState

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from clv.outcomes import Outcome
    from clv.rules import Rules

_SLICE = 1_000


class Recomputed(NamedTuple):
    """Rows by customer id, and outcomes in order."""

    rows: dict[str, bytes]
    outcomes: list[Outcome]


def recompute(number: int, records: Sequence[Record], rules: Rules, topic_id: str) -> Recomputed:
    """Run a partition's records through the pipeline."""
    rows = EncodedRows(incarnation=incarnation_code(topic_id))
    partition = Partition(ORDERS, number, PartitionState(topic_id=topic_id), rows, TimerIndex())
    judgement = Judgement(ConstantScorer(), Policies([]), rules)
    outcomes: list[Outcome] = []
    for start in range(0, len(records), _SLICE):
        batch = process(records[start : start + _SLICE], partition, judgement)
        rows.put(batch.changed)
        outcomes += batch.outcomes
    return Recomputed(rows.rows, outcomes)


def without_models(row: bytes, topic_id: str) -> bytes:
    """Return a row as it would be had no model ever answered."""
    found = decode_row(row, incarnation_code(topic_id))
    state = found.state
    state.segment, state.clv_minor, state.scorer_version, state.policy_version = None, -1, "", ""
    for pending in state.pending:
        pending.scored, pending.scorer_version = b"", ""
    return msgspec.msgpack.encode(found)


def identities(outcomes: Iterable[Outcome]) -> dict[str, list[tuple[object, ...]]]:
    """Return what makes each outcome the one it is, by kind, in order."""
    found: dict[str, list[tuple[object, ...]]] = {"scores": [], "examples": [], "watermarks": [], "dead_letters": []}
    for outcome in outcomes:
        if isinstance(outcome, Score):
            found["scores"].append(
                (
                    *(outcome.customer_id, outcome.cause, outcome.reason, outcome.as_of, outcome.order_count),
                    *(outcome.revenue_minor, outcome.refunded_minor, outcome.first_order_at, outcome.last_order_at),
                )
            )
        elif isinstance(outcome, TrainingExample):
            value = (outcome.value_minor, tuple(outcome.features))
            found["examples"].append((outcome.customer_id, outcome.as_of, outcome.matured_at, outcome.moment, *value))
        elif isinstance(outcome, WatermarkPassed):
            found["watermarks"].append(
                (outcome.event_id, outcome.partition, outcome.applied_offset, tuple(outcome.counts.values()))
            )
        elif isinstance(outcome, DeadLetter):
            found["dead_letters"].append((outcome.partition, outcome.offset, outcome.reason, outcome.value))
    return found
