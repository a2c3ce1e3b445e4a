"""The connection to a database: its settings on SQLite and PostgreSQL, its transactions, its errors in our words.

Short transactions only. On SQLite a writer takes the lock at its beginning (``BEGIN IMMEDIATE``), so that two of them
wait for each other instead of failing in the middle.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import psycopg
from sqlalchemy import create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DisconnectionError, SQLAlchemyError

from clv.errors import ConfigError, StoreUnavailable
from storage.failures import translate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import URL, Connection, Engine

BUSY_SECONDS = 5.0
"""How long a statement waits for another's lock before the store counts as unavailable."""
_STATEMENT_SECONDS = 60
_IDLE_SECONDS = 2.0


class Database:
    """A SQL database; opens its connections when they are first needed.

    Parameters
    ----------
    url
        SQLAlchemy URL with the dialect ``sqlite`` or ``postgresql`` (through psycopg); may hold a password.

    Raises
    ------
    ConfigError
        When the URL is unreadable or of another database.

    Notes
    -----
    Safe to use from several threads, each transaction in one of them.
    """

    def __init__(self, url: str) -> None:
        parsed = _parse(url)
        self.location: str = parsed.set(query={}).render_as_string(hide_password=True)
        self.file: Path | None = None
        if parsed.get_backend_name() == "sqlite":
            self.file = Path(parsed.database or "")
            self._engine = _sqlite_engine(parsed, self.file)
        else:
            self._engine = _postgres_engine(parsed)
        self._identity = self._file_identity()

    @property
    def is_sqlite(self) -> bool:
        """Whether this is SQLite: one writing process, one machine."""
        return self.file is not None

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a connection that only reads: on SQLite one snapshot, which blocks no writer.

        On PostgreSQL each statement is by itself and sees what is committed then.

        Raises
        ------
        StoreUnavailable
            When the database cannot be reached or is busy; a retry may help.
        StoreError
            When it refuses for good.
        """
        with self._connection() as connection:
            if self.is_sqlite:
                with connection.begin():
                    yield connection
            else:
                # A transaction would be two more round trips.
                yield connection.execution_options(isolation_level="AUTOCOMMIT")

    @contextmanager
    def streaming(self) -> Iterator[Connection]:
        """Give a connection in a transaction that only reads, as an answer that comes in pieces needs it.

        Raises
        ------
        StoreUnavailable
            When the database cannot be reached or is busy; a retry may help.
        StoreError
            When it refuses for good.
        """
        with self._connection() as connection, connection.begin():
            yield connection

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """Give a connection that reads all tables as they were at one moment, and blocks no writer.

        Raises
        ------
        StoreUnavailable
            When the database cannot be reached or is busy; a retry may help.
        StoreError
            When it refuses for good.
        """
        with self._connection() as connection:
            if not self.is_sqlite:
                connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Give a connection in a transaction that is committed at the end, or rolled back when the block raises.

        Raises
        ------
        StoreUnavailable
            When the database cannot be reached, is locked, full or read-only; a retry may help. Whether a commit that
            lost its connection took effect is unknown: only a compare-and-set makes a repetition safe.
        StoreError
            When it refuses for good.
        """
        with self._connection() as connection:
            scoped = connection.execution_options(writing=True)
            with scoped.begin():
                yield scoped

    def close(self) -> None:
        """Close the pooled connections; those in use close when they are given back."""
        self._engine.dispose()

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        self._check_file()
        try:
            with self._engine.connect() as connection:
                yield connection
        except (SQLAlchemyError, sqlite3.Error) as problem:
            raise translate(problem, self.location) from problem

    def _check_file(self) -> None:
        # A pooled connection would go on writing into a file that somebody deleted or replaced.
        identity = self._file_identity()
        if identity != self._identity:
            self._engine.dispose()
            self._identity = identity
        if self.is_sqlite and identity is None:
            raise StoreUnavailable(f"there is no database at {self.location}", "it is made by the first `clv up`")

    def _file_identity(self) -> tuple[int, int] | None:
        try:
            found = self.file.stat() if self.file else None
        except OSError:
            return None
        return (found.st_dev, found.st_ino) if found else None


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ConfigError("CLV_DATABASE_URL is not a database URL", "sqlite:///… or postgresql://…") from None
    name = parsed.get_backend_name()
    if name == "sqlite" and parsed.database not in {None, "", ":memory:"}:
        return parsed
    if name == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    raise ConfigError(f"CLV_DATABASE_URL names {name!r} without a file", "sqlite:///path/to/file or postgresql://…")


def _sqlite_engine(url: URL, file: Path) -> Engine:
    # mode=rw: a deleted database must be an error, not a new empty one.
    address = f"file:{quote(str(file.absolute()))}?mode=rw"

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(
            address, uri=True, timeout=BUSY_SECONDS, check_same_thread=False, isolation_level=None
        )
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = NORMAL")
        return connection

    engine = create_engine(url, creator=connect, hide_parameters=True)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        is_writing = connection.get_execution_options().get("writing")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writing else "BEGIN")

    return engine


def _postgres_engine(url: URL) -> Engine:
    limits = {
        "statement_timeout": _STATEMENT_SECONDS,
        "lock_timeout": BUSY_SECONDS,
        # A frozen process must not hold its locks for ever.
        "idle_in_transaction_session_timeout": _STATEMENT_SECONDS,
    }
    given = url.query.get("options", "")
    arguments: dict[str, Any] = {
        "connect_timeout": 5,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "application_name": "clv",
        "options": " ".join([*(f"-c {name}={round(seconds * 1000)}" for name, seconds in limits.items()), str(given)]),
    }
    engine = create_engine(url, hide_parameters=True, pool_timeout=BUSY_SECONDS, connect_args=arguments)
    _check_after_idling(engine)
    return engine


def _check_after_idling(engine: Engine) -> None:
    """Ask a connection that lay unused for a while whether it still holds; before every use that costs a round trip."""

    @event.listens_for(engine, "checkin")
    def note(_connection: Any, record: Any) -> None:
        record.info["unused_since"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def check(connection: Any, record: Any, _proxy: Any) -> None:
        if time.monotonic() - record.info.get("unused_since", time.monotonic()) < _IDLE_SECONDS:
            return
        try:
            engine.dialect.do_ping(connection)
        except psycopg.Error as problem:
            raise DisconnectionError("the server has closed the connection") from problem  # the pool opens another
