"""First purchases that a platform is to hear of, and what became of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, select, update

from storage import tables

if TYPE_CHECKING:
    from collections.abc import Sequence

    from storage.engine import Database

_conversions = tables.conversions


def waiting_conversions(database: Database, *, limit: int) -> list[dict[str, Any]]:
    """Return conversions that were not sent yet, oldest purchases first.

    Raises
    ------
    StoreUnavailable
        When a retry may help.
    """
    query = select(_conversions).where(_conversions.c.status == "waiting").order_by(_conversions.c.occurred_ms)
    with database.reading() as connection:
        return [dict(row) for row in connection.execute(query.limit(limit)).mappings()]


def settle_conversions(database: Database, settled: Sequence[tuple[str, str, str]], *, at_ms: int) -> None:
    """Store what became of conversions: event id, status (sent, refused or too_late) and why, in words."""
    rows = [{"of": event_id, "to": status, "why": why, "when": at_ms} for event_id, status, why in settled]
    if not rows:
        return
    given: dict[str, Any] = {"status": bindparam("to"), "detail": bindparam("why"), "at_ms": bindparam("when")}
    with database.writing() as connection:
        connection.execute(update(_conversions).where(_conversions.c.event_id == bindparam("of")).values(given), rows)
