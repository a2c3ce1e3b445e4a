"""Model cards and the events of who answers, as the trainer stores them beside what they describe."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select

from storage import tables
from storage.dialect import insert_missing
from storage.pruning import Retention, prune_artifacts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from storage.engine import Database

PIN_CAUSES = ("promote", "rollback", "unpin")
"""Causes of events that a person brought about: the last of them says whether something is pinned."""


@dataclass(frozen=True, slots=True)
class StoredCard:
    """A version's card: what is asked for often as columns, all of it as JSON in ``card``."""

    version: str
    name: str
    digest: str
    learned_through_ms: int
    cause: str
    champion: str
    ensemble_digest: str
    card: str


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """Who answers since ``version``, published at event time ``at_ms``, and why; ``evidence`` is JSON."""

    version: str
    at_ms: int
    cause: str
    from_champion: str
    to_champion: str
    evidence: str


@dataclass(frozen=True, slots=True)
class Registered:
    """What goes with a publication into its transaction; without ``retention`` nothing is pruned."""

    cards: Sequence[StoredCard] = ()
    events: Sequence[StoredEvent] = ()
    retention: Retention | None = None


def register(connection: Connection, registered: Registered) -> None:
    """Add cards and events, then prune artifacts, inside a transaction that has begun; repeating it changes nothing."""
    insert_missing(connection, tables.model_cards, [asdict(card) for card in registered.cards])
    insert_missing(connection, tables.model_events, [asdict(event) for event in registered.events])
    if registered.retention:
        prune_artifacts(connection, registered.retention)


def read_cards(database: Database, *, begins_with: str = "") -> list[StoredCard]:
    """Return the cards of the versions that begin with a text, oldest first.

    Raises
    ------
    StoreUnavailable
        When a retry may help.
    """
    stored = tables.model_cards
    query = select(stored).where(stored.c.version.startswith(begins_with, autoescape=True)).order_by(stored.c.version)
    with database.reading() as connection:
        return [StoredCard(**row) for row in connection.execute(query).mappings()]


def card_at(database: Database, version: str) -> StoredCard | None:
    """Return the newest card up to a version: a version without one of its own differs in nothing essential.

    Raises
    ------
    StoreUnavailable
        When a retry may help.
    """
    stored = tables.model_cards
    query = select(stored).where(stored.c.version <= version).order_by(stored.c.version.desc()).limit(1)
    with database.reading() as connection:
        row = connection.execute(query).mappings().one_or_none()
    return StoredCard(**row) if row else None


def read_events(database: Database) -> list[StoredEvent]:
    """Return who answered since when, oldest first.

    Raises
    ------
    StoreUnavailable
        When a retry may help.
    """
    stored = tables.model_events
    with database.reading() as connection:
        rows = connection.execute(select(stored).order_by(stored.c.version)).mappings()
        return [StoredEvent(**row) for row in rows]


def pin_in_force(database: Database) -> StoredEvent | None:
    """Return the promotion or rollback that holds now, None where the error decides.

    Raises
    ------
    StoreUnavailable
        When a retry may help.
    """
    stored = tables.model_events
    query = select(stored).where(stored.c.cause.in_(PIN_CAUSES)).order_by(stored.c.version.desc()).limit(1)
    with database.reading() as connection:
        row = connection.execute(query).mappings().one_or_none()
    return StoredEvent(**row) if row and row["cause"] != "unpin" else None
