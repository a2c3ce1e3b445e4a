"""Faults of the database itself: locked, away, refusing to write, full, or holding other bytes than were put there."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import psycopg

from clv.errors import ScorerError
from clv.published import SCORER_NAME
from clv.topics import MODELS

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.chaos.stage import Stage

_LOCKED_SECONDS = 8.0
"""Longer than a statement waits for a lock: the store counts as unavailable."""
_FREE_BYTES = 32_768


class _Newest(NamedTuple):
    digest: str
    payload: bytes


def lock(stage: Stage, _: random.Random) -> None:
    """Hold the lock that every writer needs."""
    with _connected(stage) as connection:
        if stage.database.is_sqlite:
            connection.execute("BEGIN IMMEDIATE")
        else:
            connection.execute("BEGIN")
            connection.execute("LOCK TABLE sink_offsets, learner IN ACCESS EXCLUSIVE MODE")
        stage.wait(_LOCKED_SECONDS)
        connection.execute("ROLLBACK")


def remove(stage: Stage, draw: random.Random) -> None:
    """Move SQLite's file away for some seconds."""
    file = stage.database.file
    assert file is not None
    away = file.with_name("away.db")
    file.rename(away)
    stage.wait(draw.uniform(2, 6))
    away.rename(file)


def disconnect(stage: Stage, _: random.Random) -> None:
    """Kill every session of PostgreSQL's again and again for some seconds."""
    for _number in range(20):
        _end_sessions(stage)
        stage.wait(0.2)


def refuse_writes(stage: Stage, draw: random.Random) -> None:
    """Set PostgreSQL's database to read-only for some seconds."""
    name = stage.database.location.rpartition("/")[2]
    for setting, seconds in (("on", draw.uniform(3, 8)), ("off", 0.0)):
        with _connected(stage) as connection:
            connection.execute("BEGIN READ WRITE")
            connection.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = {setting}')
            connection.execute("COMMIT")
        _end_sessions(stage)  # settings count for new ones
        stage.wait(seconds)


def fill_disk(stage: Stage, draw: random.Random) -> None:
    """Fill the small disk on which SQLite's file lies to its last pages for some seconds."""
    assert stage.disk is not None
    ballast = stage.disk / "ballast"
    until = time.monotonic() + draw.uniform(5, 10)
    with ballast.open("wb", buffering=0) as file:
        while time.monotonic() < until:
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(_FREE_BYTES))
            stage.wait(0.1)
    ballast.unlink()


def corrupt_artifact(stage: Stage, draw: random.Random) -> None:
    """Change a byte of the newest model, and make a worker load it; put the right bytes back some seconds later."""
    stage.wait_until(lambda: _newest(stage) is not None, seconds=120)
    newest = _newest(stage)
    assert newest is not None
    place = draw.randrange(len(newest.payload))
    wrong = newest.payload[:place] + bytes([newest.payload[place] ^ 1]) + newest.payload[place + 1 :]
    _put(stage, newest.digest, wrong)
    role = stage.roles[draw.choice(["w1", "w2", "w3"])]
    role.end()
    role.start()
    stage.wait(6)
    _put(stage, newest.digest, newest.payload)


def corrupt_announcement(stage: Stage, draw: random.Random) -> None:
    """Put an announcement onto the models' topic that nobody can read."""
    stage.feeder.add_record(MODELS, draw.randbytes(40))
    stage.wait(1)


def _end_sessions(stage: Stage) -> None:
    with _connected(stage) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def _newest(stage: Stage) -> _Newest | None:
    with contextlib.suppress(ScorerError), _connected(stage) as connection:
        query = f"SELECT digest, payload FROM artifacts WHERE name = '{SCORER_NAME}' ORDER BY version DESC LIMIT 1"
        row: Any = connection.execute(query).fetchone()
        return _Newest(str(row[0]), bytes(row[1])) if row else None
    return None


def _put(stage: Stage, digest: str, payload: bytes) -> None:
    mark = "?" if stage.database.is_sqlite else "%s"
    with _connected(stage) as connection:
        connection.execute(f"UPDATE artifacts SET payload = {mark} WHERE digest = {mark}", (payload, digest))


@contextlib.contextmanager
def _connected(stage: Stage) -> Iterator[Any]:
    """Open a connection of our own, past the product's, which commits each statement."""
    file: Path | None = stage.database.file
    connection: Any
    if file is not None:
        connection = sqlite3.connect(file, timeout=30, isolation_level=None)
    else:
        plain = stage.settings.sql_url.replace("postgresql+psycopg://", "postgresql://", 1)
        connection = psycopg.connect(plain, autocommit=True)
    try:
        yield connection
    finally:
        connection.close()
