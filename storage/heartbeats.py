"""Which roles run: each writes now and then that it lives, and how it is."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from sqlalchemy import delete, select

from storage import tables
from storage.dialect import upsert

if TYPE_CHECKING:
    from collections.abc import Mapping

    from storage.engine import Database

INTERVAL_SECONDS = 5.0
FRESH_MS = 20_000
"""A role that was not seen for longer counts as gone."""
_FORGOTTEN_MS = 86_400_000

_heartbeats = tables.heartbeats


class Heartbeat(NamedTuple):
    """When a role's process began and was last seen, epoch milliseconds of its clock, and what it said of itself."""

    role: str
    instance: str
    started_ms: int
    at_ms: int
    figures: dict[str, Any]


def beat(database: Database, role: str, instance: str, *, started_ms: int, figures: Mapping[str, Any]) -> None:
    """Write that a process lives; those of its role not seen for a day are forgotten.

    Raises
    ------
    StoreUnavailable
        When a retry may help; a missed beat does no harm.
    """
    now_ms = round(time.time() * 1000)
    row = {
        "role": role,
        "instance": instance,
        "started_ms": started_ms,
        "at_ms": now_ms,
        "figures": msgspec.json.encode(figures).decode(),
    }
    with database.writing() as connection:
        upsert(connection, _heartbeats, [row])
        old = _heartbeats.c.at_ms < now_ms - _FORGOTTEN_MS
        connection.execute(delete(_heartbeats).where(_heartbeats.c.role == role, old))


def read_heartbeats(database: Database) -> list[Heartbeat]:
    """Return every process that was seen within the last day, by role and name.

    Raises
    ------
    StoreUnavailable
        When a retry may help.
    """
    query = select(_heartbeats).order_by(_heartbeats.c.role, _heartbeats.c.instance)
    with database.reading() as connection:
        rows = connection.execute(query).mappings()
        return [Heartbeat(**{**row, "figures": msgspec.json.decode(row["figures"])}) for row in rows]
