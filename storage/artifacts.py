"""Bytes of published models, found by their SHA-256 and checked against it both ways."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import select

from clv.errors import IncompatibleArtifact
from storage import tables
from storage.dialect import insert_missing

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

    from storage.engine import Database


@dataclass(frozen=True, slots=True)
class Artifact:
    """A model or policy version to publish; ``learned_through_ms`` is the latest event time that influenced it."""

    name: str
    version: str
    payload: bytes
    learned_through_ms: int

    @property
    def digest(self) -> str:
        """SHA-256 of the payload, 64 hexadecimal digits."""
        return hashlib.sha256(self.payload).hexdigest()


class StoredArtifact(NamedTuple):
    """Where a version's bytes are."""

    version: str
    digest: str


def put_artifacts(database: Database, artifacts: Iterable[Artifact]) -> list[str]:
    """Store artifacts and return their digests in order; one that is there already stays as it is.

    Raises
    ------
    IncompatibleArtifact
        When the store holds other bytes under an artifact's digest; nothing is stored.
    StoreUnavailable
        When a retry may help.
    """
    with database.writing() as connection:
        return insert_artifacts(connection, artifacts)


def insert_artifacts(connection: Connection, artifacts: Iterable[Artifact]) -> list[str]:
    """Do what ``put_artifacts`` does inside a transaction that has begun."""
    digests = []
    for artifact in artifacts:
        row = {
            "digest": artifact.digest,
            "name": artifact.name,
            "version": artifact.version,
            "payload": artifact.payload,
            "learned_through_ms": artifact.learned_through_ms,
        }
        insert_missing(connection, tables.artifacts, [row])
        _read_checked(connection, artifact.digest)
        digests.append(artifact.digest)
    return digests


def get_artifact(database: Database, digest: str) -> bytes:
    """Return the bytes whose SHA-256 is ``digest``.

    Raises
    ------
    IncompatibleArtifact
        When there are none, or they have another digest: they were damaged or exchanged.
    StoreUnavailable
        When a retry may help.
    """
    with database.reading() as connection:
        return _read_checked(connection, digest)


def _read_checked(connection: Connection, digest: str) -> bytes:
    stored = tables.artifacts
    query = select(stored.c.payload).where(stored.c.digest == digest).limit(1)
    payload = connection.execute(query).scalar_one_or_none()
    if payload is None:
        raise IncompatibleArtifact(f"the store has no artifact {digest}")
    if hashlib.sha256(payload).hexdigest() != digest:
        raise IncompatibleArtifact(f"the bytes stored as artifact {digest} have another digest")
    return bytes(payload)


def newest_artifacts(database: Database, name: str, *, up_to_version: str, limit: int) -> list[StoredArtifact]:
    """Return what is stored under a name up to a version, newest first.

    Versions are compared as text, byte by byte: those of a name must sort by age.

    Raises
    ------
    StoreUnavailable
        When a retry may help.
    """
    stored = tables.artifacts
    query = (
        select(stored.c.version, stored.c.digest)
        .where(stored.c.name == name, stored.c.version <= up_to_version)
        .order_by(stored.c.version.desc())
        .limit(limit)
    )
    with database.reading() as connection:
        return [StoredArtifact(version, digest) for version, digest in connection.execute(query)]


class StoredArtifacts:
    """The store as ``models.loading`` asks for it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def newest(self, name: str, *, up_to_version: str, limit: int) -> list[StoredArtifact]:
        """Return what ``newest_artifacts`` does."""
        return newest_artifacts(self._database, name, up_to_version=up_to_version, limit=limit)

    def get(self, digest: str) -> bytes:
        """Return what ``get_artifact`` does."""
        return get_artifact(self._database, digest)
