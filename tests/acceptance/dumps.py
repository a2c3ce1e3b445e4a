"""What a database holds, table by table, as values that compare; and which tables come from where."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from storage import tables

if TYPE_CHECKING:
    from collections.abc import Iterable

    from storage.engine import Database

FROM_TOPICS = (
    *("customers", "scores", "segment_changes", "feeds", "totals", "segment_moves", "budget_signals"),
    *("training_examples", "models", "dead_letters", "customer_states", "partitions", "sink_offsets"),
)
"""Tables that the sink makes from topics, again and again alike."""

LEARNED_ANEW = ("artifacts", "model_cards", "model_events", "learner", "metrics")
"""Tables of the trainer, who learns from the examples' topic anew."""

BY_THE_CLOCK = ("activity", "heartbeats", "replay_positions")
"""Tables that say what happened lately on this deployment."""

ONLY_HERE = (
    *("api_keys", "letter_replays", "audience_customers", "audiences", "audience_members", "ad_operations"),
    *("suppressions", "conversions", "campaign_days", "budget_changes", "segment_budgets"),
)
"""Tables that no topic of the orders' road can give back."""

_WHEN_STORED = frozenset({"stored_ms"})


def dump(database: Database, names: Iterable[str] = FROM_TOPICS) -> dict[str, list[dict[str, Any]]]:
    """Return every row of each table in the order of its key, but for when it was stored."""
    return {name: _rows(database, name) for name in names}


def _rows(database: Database, name: str) -> list[dict[str, Any]]:
    table = tables.metadata.tables[name]
    columns = [column for column in table.columns if column.name not in _WHEN_STORED]
    with database.streaming() as connection:
        rows = connection.execute(select(*columns).order_by(*table.primary_key)).mappings()
        return [dict(row) for row in rows]


def differences(ours: dict[str, list[dict[str, Any]]], theirs: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Return by table the rows that only one of two dumps has; empty when they are equal."""
    found: dict[str, Any] = {}
    for name, mine in ours.items():
        yours = theirs[name]
        if mine != yours:
            only_mine, only_yours = [row for row in mine if row not in yours], [row for row in yours if row not in mine]
            found[name] = (len(mine), len(yours), only_mine[:3], only_yours[:3])
    return found
