"""Which published bytes are kept, and deleting the others a few at a time.

Kept are the newest ``KEPT_VERSIONS`` snapshots and policies, whatever lies within ``KEPT_DAYS`` event-days of the
newest snapshot and has a card, and what a pin or the learner refers to. A worker that starts again needs eight
snapshots back from a sequence that its rows name: far fewer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, select, tuple_

from storage import tables

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection

KEPT_VERSIONS = 200
KEPT_DAYS = 400
_DAY_MS = 86_400_000
_MOST_DELETED = 100
_artifacts = tables.artifacts
_cards = tables.model_cards


@dataclass(frozen=True, slots=True)
class Retention:
    """What is pruned and what is not, beside the numbers of this module.

    Parameters
    ----------
    snapshots, ensembles, policies
        Names that the artifacts are stored under; versions of snapshots and policies sort by age.
    pinned_versions
        Snapshots to keep whatever their age.
    used_digests
        Ensembles to keep though no card names them yet.
    """

    snapshots: str
    ensembles: str
    policies: str
    pinned_versions: frozenset[str] = frozenset()
    used_digests: frozenset[str] = frozenset()


def prune_artifacts(connection: Connection, retention: Retention) -> int:
    """Delete up to a hundred artifacts of each name that nothing needs, inside a transaction; return how many.

    Notes
    -----
    Reads indexes and the cards' columns only, never bytes: about a millisecond. Cards and events stay.
    """
    found = _Edge.of(connection, retention)
    if found is None:
        return 0
    is_carded = select(_cards.c.version).where(_cards.c.learned_through_ms >= found.floor_ms)
    deleted = _delete(
        connection,
        _artifacts.c.name == retention.snapshots,
        _artifacts.c.version < found.version,
        _artifacts.c.version.not_in(is_carded),
        _artifacts.c.version.not_in(sorted(retention.pinned_versions)),
    )
    deleted += _prune_ensembles(connection, retention, found)
    oldest_policy = _nth_newest(connection, retention.policies)
    if oldest_policy:
        is_policy = _artifacts.c.name == retention.policies
        deleted += _delete(connection, is_policy, _artifacts.c.version < oldest_policy[0])
    return deleted


@dataclass(frozen=True, slots=True)
class _Edge:
    """The oldest snapshot that is kept for its number, and the event time from which cards keep theirs."""

    version: str
    floor_ms: int

    @classmethod
    def of(cls, connection: Connection, retention: Retention) -> _Edge | None:
        oldest = _nth_newest(connection, retention.snapshots)
        if oldest is None:
            return None
        newest_ms = connection.execute(
            select(_artifacts.c.learned_through_ms)
            .where(_artifacts.c.name == retention.snapshots)
            .order_by(_artifacts.c.version.desc())
            .limit(1)
        ).scalar_one()
        version, learned_ms = oldest
        return cls(version, min(learned_ms, newest_ms - KEPT_DAYS * _DAY_MS))


def _prune_ensembles(connection: Connection, retention: Retention, edge: _Edge) -> int:
    """Delete the ensembles that no card from the edge on names, nor the newest card before it.

    A snapshot without a card has the ensemble of the newest card before it. Where no card is that old, snapshots may be
    kept that no card speaks for: then no ensemble goes.
    """
    before = select(func.max(_cards.c.version)).where(_cards.c.learned_through_ms < edge.floor_ms)
    eldest = connection.execute(before).scalar_one()
    if eldest is None:
        return 0
    named = select(_cards.c.ensemble_digest).where(_cards.c.version >= eldest)
    return _delete(
        connection,
        _artifacts.c.name == retention.ensembles,
        _artifacts.c.digest.not_in(named),
        _artifacts.c.digest.not_in(sorted(retention.used_digests)),
    )


def _nth_newest(connection: Connection, name: str) -> tuple[str, int] | None:
    query = (
        select(_artifacts.c.version, _artifacts.c.learned_through_ms)
        .where(_artifacts.c.name == name)
        .order_by(_artifacts.c.version.desc())
        .offset(KEPT_VERSIONS - 1)
        .limit(1)
    )
    row = connection.execute(query).one_or_none()
    return (row[0], row[1]) if row else None


def _delete(connection: Connection, *conditions: ColumnElement[bool]) -> int:
    key = (_artifacts.c.digest, _artifacts.c.name, _artifacts.c.version)
    oldest = select(*key).where(*conditions).order_by(_artifacts.c.version).limit(_MOST_DELETED)
    return connection.execute(delete(_artifacts).where(tuple_(*key).in_(oldest))).rowcount
