"""Which complaints of a database are worth waiting for."""

from __future__ import annotations

import sqlite3

import psycopg
import pytest
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from clv.errors import StoreError, StoreUnavailable
from storage.failures import translate

WHERE = "postgresql://u:***@h/d"


def _sqlite(code: int) -> sqlite3.OperationalError:
    problem = sqlite3.OperationalError("as SQLite says it")
    problem.sqlite_errorcode = code
    return problem


def _postgres(state: str) -> psycopg.Error:
    problem = psycopg.Error("as PostgreSQL says it\nDETAIL: Key (customer_id)=(secret)")
    problem.sqlstate = state
    return problem


@pytest.mark.parametrize(
    "code",
    [
        pytest.param(sqlite3.SQLITE_BUSY, id="busy"),
        pytest.param(sqlite3.SQLITE_BUSY_SNAPSHOT, id="busy-snapshot"),
        pytest.param(sqlite3.SQLITE_FULL, id="full"),
        pytest.param(sqlite3.SQLITE_READONLY_DBMOVED, id="moved"),
        pytest.param(sqlite3.SQLITE_IOERR_WRITE, id="io"),
        pytest.param(sqlite3.SQLITE_CANTOPEN, id="absent"),
    ],
)
def test_sqlite_passing_troubles(code: int) -> None:
    """Locked, full, read-only, failing and absent SQLite files may recover, whatever the extended code."""
    assert type(translate(OperationalError("", {}, _sqlite(code)), WHERE)) is StoreUnavailable


@pytest.mark.parametrize("state", ["08006", "40001", "40P01", "53100", "53300", "57P01", "57014", "55P03", "25006"])
def test_postgres_passing_troubles(state: str) -> None:
    """Lost connections, deadlocks, full disks, shutdowns, timeouts and read-only servers may recover."""
    assert type(translate(DBAPIError("", {}, _postgres(state)), WHERE)) is StoreUnavailable


def test_a_connection_that_fails_without_a_code_may_recover() -> None:
    """Psycopg gives no code when the server cannot be reached."""
    problem = OperationalError("", {}, psycopg.OperationalError("connection refused"))
    assert type(translate(problem, WHERE)) is StoreUnavailable


def test_an_exhausted_pool_may_recover() -> None:
    """All connections in use is a wait, not an end."""
    assert type(translate(PoolTimeoutError("no connection"), WHERE)) is StoreUnavailable


@pytest.mark.parametrize(
    "problem",
    [
        pytest.param(IntegrityError("", {}, _postgres("23505")), id="unique"),
        pytest.param(OperationalError("", {}, _sqlite(sqlite3.SQLITE_ERROR)), id="no-such-table"),
        pytest.param(DBAPIError("", {}, _postgres("42P01")), id="undefined-table"),
    ],
)
def test_other_complaints_are_final(problem: DBAPIError) -> None:
    """A broken constraint or a missing table will not mend itself."""
    assert type(translate(problem, WHERE)) is StoreError


def test_messages_hold_no_row() -> None:
    """Only the first line of the server's message is passed on: the later ones quote values."""
    assert "secret" not in str(translate(IntegrityError("", {}, _postgres("23505")), WHERE))
