"""What each segment may spend at a platform now, as the ads role last read it there, and how often that was changed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import delete, select

from storage import tables
from storage.dialect import upsert

if TYPE_CHECKING:
    from collections.abc import Sequence

    from storage.engine import Database

FRESH_MS = 86_400_000
"""How old a reading may be to say anything of now."""
HOUR_MS = 3_600_000
_budgets, _changes = tables.segment_budgets, tables.budget_changes


class SegmentBudgetRow(NamedTuple):
    """A segment's budget a day and the least that the platform takes, minor units."""

    segment: str
    daily_minor: int
    minimum_minor: int
    is_learning: bool


class BudgetStand(NamedTuple):
    """A segment's budget as last read, and its changes from here within the last hour."""

    daily_minor: int
    minimum_minor: int
    is_learning: bool
    edits_last_hour: int


def put_budgets(database: Database, platform: str, budgets: Sequence[SegmentBudgetRow], *, read_ms: int) -> None:
    """Store what was read, in place of what was read before.

    Raises
    ------
    StoreUnavailable
        When a retry may help.
    """
    rows = [
        {**budget._asdict(), "is_learning": int(budget.is_learning), "platform": platform, "read_ms": read_ms}
        for budget in budgets
    ]
    with database.writing() as connection:
        connection.execute(delete(_budgets).where(_budgets.c.platform == platform))
        upsert(connection, _budgets, rows)


def budgets_at(database: Database, platform: str, *, now_ms: int) -> dict[str, BudgetStand]:
    """Return each segment's budget; empty where nothing was read within ``FRESH_MS``.

    Raises
    ------
    StoreUnavailable
        When a retry may help.
    """
    query = select(_budgets).where(_budgets.c.platform == platform, _budgets.c.read_ms > now_ms - FRESH_MS)
    recent = select(_changes).where(_changes.c.platform == platform, _changes.c.at_ms > now_ms - HOUR_MS)
    with database.reading() as connection:
        rows = connection.execute(query).mappings().all()
        changes = connection.execute(recent).mappings().all() if rows else []
    edits: dict[str, int] = {}
    for change in changes:
        before, after = json.loads(change["amounts_before"]), json.loads(change["amounts_after"])
        times = {"applied": 1, "applying": 1, "failed": 2, "rolling_back": 2, "rolled_back": 2}.get(change["status"], 0)
        for segment in after:
            edits[segment] = edits.get(segment, 0) + times * (before.get(segment) != after[segment])
    return {
        row["segment"]: BudgetStand(
            row["daily_minor"], row["minimum_minor"], bool(row["is_learning"]), edits.get(row["segment"], 0)
        )
        for row in rows
    }
