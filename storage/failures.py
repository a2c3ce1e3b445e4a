"""What a database's complaint means: whether waiting can help. Messages never hold a password or a row's values."""

from __future__ import annotations

import sqlite3

from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from clv.errors import StoreError, StoreUnavailable

_SQLITE_PASSING = {
    sqlite3.SQLITE_BUSY: "the database is locked by another writer",
    sqlite3.SQLITE_LOCKED: "the database is locked",
    sqlite3.SQLITE_READONLY: "the database is read-only",
    sqlite3.SQLITE_IOERR: "the database's disk fails",
    sqlite3.SQLITE_FULL: "the database's disk is full",
    sqlite3.SQLITE_CANTOPEN: "the database cannot be opened",
    sqlite3.SQLITE_PROTOCOL: "the database is locked",
    sqlite3.SQLITE_NOMEM: "the database is out of memory",
}
# https://www.postgresql.org/docs/15/errcodes-appendix.html: connection, rollback for concurrency, resources (disk
# full, too many connections), operator intervention (shutdown, timeouts), system errors.
_POSTGRES_PASSING_CLASSES = ("08", "40", "53", "57", "58")
_POSTGRES_PASSING_CODES = (
    "25006",  # read-only transaction: a standby, or a server set so for a while
    "25P03",  # idle in transaction for too long: this process was frozen
    "28000",  # refused by the host's rules, which are mended on the server
    "28P01",  # wrong password, likewise
    "3D000",  # no such database yet
    "55P03",  # lock not available
)


def translate(problem: Exception, location: str) -> StoreError:
    """Return our error for a database driver's.

    Parameters
    ----------
    problem
        What SQLAlchemy or the driver raised.
    location
        The database's URL without its password.

    Returns
    -------
    StoreError
        ``StoreUnavailable`` where a retry may help: locked, slow, full, read-only, absent or connection lost.
    """
    cause = problem.orig if isinstance(problem, DBAPIError) else problem
    if isinstance(cause, sqlite3.Error):
        code = getattr(cause, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        if code in _SQLITE_PASSING:
            return StoreUnavailable(f"{_SQLITE_PASSING[code]} ({location})")
    if isinstance(problem, PoolTimeoutError):
        return StoreUnavailable(f"all connections to the database are in use ({location})")
    if isinstance(problem, DBAPIError) and _is_passing(problem):
        return StoreUnavailable(f"the database is unavailable: {_first_line(cause)} ({location})")
    return StoreError(f"the database refused: {type(cause).__name__}: {_first_line(cause)} ({location})")


def _is_passing(problem: DBAPIError) -> bool:
    state = getattr(problem.orig, "sqlstate", None)
    if state is None:
        # psycopg's errors without a code come from the connection, not from the server.
        is_connection = isinstance(problem, OperationalError) and not isinstance(problem.orig, sqlite3.Error)
        return problem.connection_invalidated or is_connection
    return state in _POSTGRES_PASSING_CODES or state.startswith(_POSTGRES_PASSING_CLASSES)


def _first_line(cause: object) -> str:
    # PostgreSQL's later lines (DETAIL, CONTEXT) quote the row.
    return str(cause).strip().split("\n", 1)[0][:200]
