"""What the trainer keeps: its state with the offsets it has learned through, what it published, its figures."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import select, update

from clv.errors import StoreConflict
from clv.outcomes import ModelAnnounced, rfc3339
from storage import tables
from storage.artifacts import insert_artifacts
from storage.cards import Registered, register
from storage.dialect import insert_missing, upsert

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection, Row

    from storage.artifacts import Artifact
    from storage.engine import Database


@dataclass(frozen=True, slots=True)
class LearnerState:
    """A learner as stored.

    Parameters
    ----------
    state
        The learner's own bytes.
    offsets
        Next offset to learn of each partition of the examples topic, in the life named by ``incarnation``.
    revision
        How often it was saved; 0 before the first time.
    """

    state: bytes = b""
    offsets: dict[int, int] = field(default_factory=dict)
    incarnation: str = ""
    revision: int = 0


@dataclass(frozen=True, slots=True)
class Metrics:
    """A model's figures so far; ``as_of_ms`` is the event time through which they count."""

    as_of_ms: int
    figures: dict[str, Any]


def load_learner(database: Database, name: str) -> LearnerState:
    """Return the learner called ``name``, or an empty one of revision 0.

    Raises
    ------
    StoreUnavailable
        When a retry may help.
    """
    stored = tables.learner
    with database.reading() as connection:
        row = connection.execute(select(stored).where(stored.c.name == name)).one_or_none()
    if row is None:
        return LearnerState()
    offsets = msgspec.json.decode(row.offsets, type=dict[int, int])
    return LearnerState(bytes(row.state), offsets, row.incarnation, row.revision)


def save_learner(
    database: Database,
    name: str,
    learner: LearnerState,
    *,
    artifacts: Sequence[Artifact] = (),
    metrics: Mapping[str, Metrics] | None = None,
    registered: Registered | None = None,
) -> LearnerState:
    """Store a learner, its offsets, what it publishes and its figures in one transaction: all or nothing.

    Parameters
    ----------
    learner
        The new state and offsets, with the revision that was loaded or last returned.
    registered
        Cards and events of what is published, and which older artifacts may go.

    Returns
    -------
    LearnerState
        The same with its new revision.

    Raises
    ------
    StoreConflict
        When another trainer has saved since: this one must load again, or stop. Nothing is stored.
    StoreUnavailable
        When a retry may help. If the connection broke during the commit, the retry may end in ``StoreConflict``.
    """
    saved = replace(learner, revision=learner.revision + 1)
    with database.writing() as connection:
        _compare_and_set(connection, name, saved)
        insert_artifacts(connection, artifacts)
        _upsert_metrics(connection, metrics or {})
        register(connection, registered or Registered())
    return saved


def _compare_and_set(connection: Connection, name: str, saved: LearnerState) -> None:
    stored = tables.learner
    if saved.revision == 1:
        first = {"name": name, "revision": 0, "incarnation": "", "offsets": "{}", "state": b""}
        insert_missing(connection, stored, [first])
    statement = (
        update(stored)
        .where(stored.c.name == name, stored.c.revision == saved.revision - 1)
        .values(
            revision=saved.revision,
            incarnation=saved.incarnation,
            offsets=msgspec.json.encode(saved.offsets).decode(),
            state=saved.state,
        )
    )
    if connection.execute(statement).rowcount != 1:
        raise StoreConflict(
            f"learner {name} is not at revision {saved.revision - 1} in the database: another trainer has saved"
        )


def put_metrics(database: Database, metrics: Mapping[str, Metrics]) -> None:
    """Store figures by model name, each in place of the earlier ones."""
    with database.writing() as connection:
        _upsert_metrics(connection, metrics)


def read_metrics(database: Database) -> dict[str, Metrics]:
    """Return the latest figures by model name."""
    with database.reading() as connection:
        rows = connection.execute(select(tables.metrics).order_by(tables.metrics.c.name)).all()
    return {row.name: Metrics(row.as_of_ms, msgspec.json.decode(row.figures)) for row in rows}


def read_models(database: Database) -> list[ModelAnnounced]:
    """Return every announcement, ordered by what it has learned through, then by name and version."""
    stored = tables.models
    query = select(stored).order_by(stored.c.learned_through_ms, stored.c.name, stored.c.version)
    with database.reading() as connection:
        return [_announced(row) for row in connection.execute(query)]


def _upsert_metrics(connection: Connection, metrics: Mapping[str, Metrics]) -> None:
    rows = [
        {"name": name, "as_of_ms": found.as_of_ms, "figures": msgspec.json.encode(found.figures).decode()}
        for name, found in metrics.items()
    ]
    upsert(connection, tables.metrics, rows)


def _announced(row: Row[tuple[object, ...]]) -> ModelAnnounced:
    return ModelAnnounced(
        event_id=row.event_id,
        name=row.name,
        version=row.version,
        digest=row.digest,
        learned_through_at=rfc3339(row.learned_through_ms),
        feature_digest=row.feature_digest,
        metrics=msgspec.json.decode(row.metrics),
    )
