"""Bringing a database to the tables of this build, and refusing one that is ahead of it."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_random_exponential

from clv.errors import StoreError, StoreUnavailable
from storage.engine import BUSY_SECONDS, Database
from storage.failures import translate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlalchemy import Connection

_LOCK = 0x434C565343484D  # any number that other programs in the same PostgreSQL database do not use


def upgrade(url: str, revision: str = "head") -> None:
    """Create the database's tables or bring them up to date, or to a later revision; does nothing where they are.

    Several processes may call it at once: one migrates, the others wait for it. For SQLite it makes the file and its
    directory. PostgreSQL's database itself must exist.

    Raises
    ------
    StoreUnavailable
        When the database cannot be reached or is busy; a retry may help.
    StoreError
        When a newer build has migrated it already.
    """
    database = Database(url)
    try:
        if database.file:
            _create_file(database.file, database.location)
        if is_current(database):
            return
        _migrate(database, lambda configuration: command.upgrade(configuration, revision))
    finally:
        database.close()


def is_current(database: Database) -> bool:
    """Tell whether the tables are as this build needs them.

    Raises
    ------
    StoreUnavailable
        When the database cannot be reached; a retry may help.
    StoreError
        When a newer build has migrated it already.
    """
    with database.reading() as connection:
        return _revision(connection) == _scripts().get_current_head()


def require_current(database: Database) -> None:
    """Refuse a database whose tables are not as this build needs them; commands that do not migrate call it first.

    Raises
    ------
    StoreUnavailable
        When the database cannot be reached; a retry may help.
    StoreError
        When it is of an earlier build, or of a newer one.
    """
    if not is_current(database):
        raise StoreError(
            f"the tables of {database.location} are an earlier build's",
            "start `clv up`, the trainer or the sink once: they bring it up to date",
        )


def downgrade(url: str, revision: str = "base") -> None:
    """Go back to an earlier revision, by default to none: drop the tables since, with what is in them.

    Raises
    ------
    StoreUnavailable
        When the database cannot be reached or is busy; a retry may help.
    """
    database = Database(url)
    try:
        _migrate(database, lambda configuration: command.downgrade(configuration, revision))
    finally:
        database.close()


@contextmanager
def rebuilding(url: str, revision: str, *, check: Callable[[Connection], None]) -> Iterator[Connection]:
    """Give a connection to empty tables as of a revision; at the end they become this build's, all in one transaction.

    Parameters
    ----------
    url
        Whose tables go, with what is in them. An SQLite file is made where there is none.
    revision
        A revision that this build knows.
    check
        Looks at the database before anything is dropped; raises to refuse.

    Raises
    ------
    StoreUnavailable
        When the database cannot be reached or is busy; a retry may help.
    StoreError
        When a newer build has migrated it.
    """
    database = Database(url)
    try:
        if database.file:
            _create_file(database.file, database.location)
        with _configured(database) as (connection, configuration):
            check(connection)
            command.downgrade(configuration, "base")
            command.upgrade(configuration, revision)
            yield connection
            command.upgrade(configuration, "head")
    finally:
        database.close()


def current_revision(connection: Connection) -> str:
    """Return the revision that a database's tables are of; empty where there are none.

    Raises
    ------
    StoreError
        When it is a newer build's.
    """
    return _revision(connection) or ""


def known_revisions() -> list[str]:
    """Return the revisions of the tables that this build has migrations for, oldest first."""
    return [script.revision for script in reversed([*_scripts().walk_revisions()])]


def is_known_revision(revision: str) -> bool:
    """Tell whether this build has migrations up to a revision."""
    return revision in known_revisions()


def _migrate(database: Database, run: Callable[[Config], None]) -> None:
    with _configured(database) as (_, configuration):
        run(configuration)


@contextmanager
def _configured(database: Database) -> Iterator[tuple[Connection, Config]]:
    with database.writing() as connection:
        if not database.is_sqlite:
            # SQLite's writing transaction is a lock already.
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        _revision(connection)
        configuration = _configuration()
        configuration.attributes["connection"] = connection
        yield connection, configuration


def _revision(connection: Connection) -> str | None:
    found = MigrationContext.configure(connection).get_current_revision()
    if found is not None and not is_known_revision(found):
        raise StoreError(
            f"the database is at schema revision {found}, which this build does not know",
            "a newer build has migrated it: run that one, or name another database",
        )
    return found


def _configuration() -> Config:
    configuration = Config()
    configuration.set_main_option("script_location", "storage:migrations")
    configuration.set_main_option("path_separator", "os")
    return configuration


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_configuration())


@retry(
    retry=retry_if_exception_type(StoreUnavailable),
    wait=wait_random_exponential(0.05, max=1),
    stop=stop_after_delay(3 * BUSY_SECONDS),
    reraise=True,
)
def _create_file(file: Path, location: str) -> None:
    # The WAL mode stays with the file; changing to it fails at once, without waiting, while another process does so.
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(file, timeout=BUSY_SECONDS)
        try:
            if connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
                connection.execute("PRAGMA journal_mode = WAL")
        finally:
            connection.close()
    except sqlite3.Error as problem:
        raise translate(problem, location) from problem
    except OSError as problem:
        raise StoreUnavailable(f"the directory of {location} cannot be made: {problem.strerror}") from problem
