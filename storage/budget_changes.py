"""Budget proposals as they are stored, and what was made of them: wanted, carried out, failed or rolled back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from sqlalchemy import select

from storage import tables
from storage.dialect import insert_missing, upsert

if TYPE_CHECKING:
    from storage.engine import Database

_signals, _changes = tables.budget_signals, tables.budget_changes


class Proposal(NamedTuple):
    """A proposed split: amounts in minor units by segment, in an event time (epoch milliseconds)."""

    proposal_id: str
    as_of_ms: int
    method: str
    currency: str
    total_minor: int
    amounts: dict[str, int]


class BudgetChange(NamedTuple):
    """What became of a proposal; amounts a day by segment, minor units.

    ``status`` is wanted, applying, applied, failed, rolling_back (wanted or under way) or rolled_back.
    """

    change_id: str
    proposal_id: str
    platform: str
    at_ms: int
    by_name: str
    status: str
    amounts_before: dict[str, int]
    amounts_after: dict[str, int]
    detail: str = ""


def find_proposal(database: Database, proposal_id: str = "") -> Proposal | None:
    """Return a proposal, by default the newest; None where there is none.

    Raises
    ------
    StoreUnavailable
        When a retry may help.
    """
    newest = select(_signals.c.proposal_id).order_by(_signals.c.as_of_ms.desc(), _signals.c.event_id).limit(1)
    with database.reading() as connection:
        wanted = proposal_id or connection.execute(newest).scalar()
        query = select(_signals).where(_signals.c.proposal_id == wanted).order_by(_signals.c.segment)
        rows = connection.execute(query).mappings().all()
    if not rows:
        return None
    first, amounts = rows[0], {row["segment"]: row["amount_minor"] for row in rows}
    return Proposal(
        first["proposal_id"],
        first["as_of_ms"],
        first["method"],
        first["currency"],
        first["total_budget_minor"],
        amounts,
    )


def want_change(database: Database, change: BudgetChange) -> None:
    """Store that a proposal is to be carried out; one that was is left as it is.

    Raises
    ------
    StoreUnavailable
        When a retry may help.
    """
    with database.writing() as connection:
        insert_missing(connection, _changes, [_row(change)])


def save_change(database: Database, change: BudgetChange) -> None:
    """Store where a change stands.

    Raises
    ------
    StoreUnavailable
        When a retry may help.
    """
    with database.writing() as connection:
        upsert(connection, _changes, [_row(change)])


def get_change(database: Database, change_id: str) -> BudgetChange | None:
    """Return a change; None where there is none."""
    with database.reading() as connection:
        row = connection.execute(select(_changes).where(_changes.c.change_id == change_id)).mappings().one_or_none()
    return _change(row) if row else None


def list_changes(database: Database, *, statuses: tuple[str, ...] = (), limit: int = 50) -> list[BudgetChange]:
    """Return changes, newest first; those of the given statuses only."""
    query = select(_changes).order_by(_changes.c.at_ms.desc(), _changes.c.change_id).limit(limit)
    if statuses:
        query = query.where(_changes.c.status.in_(statuses))
    with database.reading() as connection:
        return [_change(row) for row in connection.execute(query).mappings()]


def _row(change: BudgetChange) -> dict[str, Any]:
    amounts = {
        name: msgspec.json.encode(getattr(change, name)).decode() for name in ("amounts_before", "amounts_after")
    }
    return change._asdict() | amounts


def _change(row: Any) -> BudgetChange:
    amounts = {name: msgspec.json.decode(row[name]) for name in ("amounts_before", "amounts_after")}
    return BudgetChange(**{**row, **amounts})
