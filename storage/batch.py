"""What a sink writes at once: rows by table, and how far each topic partition has come with them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Row = dict[str, Any]
Place = tuple[str, int]
"""A topic and a partition of it."""


@dataclass(frozen=True, slots=True)
class Position:
    """The next offset to read of a topic partition, in one life of that topic.

    ``incarnation`` is the topic's id: a topic that was deleted and made again has another, and begins at 0.
    """

    incarnation: str = ""
    next_offset: int = 0


@dataclass(frozen=True, slots=True)
class SinkBatch:
    """Rows for one transaction; within a table they stand in topic order.

    Parameters
    ----------
    expected
        Where the database must stand for the rows to be stored; an absent place stands at ``Position()``.
    reached
        Where it stands afterwards; the same places.
    customers
        The latest score by customer_id.
    erased
        Key by customer_id of those whose tombstone came: what they had before goes. The batch's own ``scores`` hold
        none from before.
    history
        What came of customers, in order: a customer's new row, None for a tombstone.
    states
        Rows of the worker's table by partition and key; ``None`` deletes.
    """

    expected: dict[Place, Position] = field(default_factory=dict)
    reached: dict[Place, Position] = field(default_factory=dict)
    customers: dict[str, Row] = field(default_factory=dict)
    erased: dict[str, bytes] = field(default_factory=dict)
    history: list[tuple[str, Row | None]] = field(default_factory=list)
    scores: list[Row] = field(default_factory=list)
    segment_changes: list[Row] = field(default_factory=list)
    budget_signals: list[Row] = field(default_factory=list)
    training_examples: list[Row] = field(default_factory=list)
    models: list[Row] = field(default_factory=list)
    dead_letters: list[Row] = field(default_factory=list)
    partitions: dict[int, Row] = field(default_factory=dict)
    states: dict[tuple[int, bytes], bytes | None] = field(default_factory=dict)
