"""Every migration, upwards and downwards, over tables with rows in them."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import LargeBinary, inspect, text

from clv.errors import StoreError
from storage.engine import Database
from storage.schema import downgrade, known_revisions, upgrade
from tests.contract.storage.rows import insert_row, rows_of

if TYPE_CHECKING:
    from sqlalchemy import Connection

Held = dict[str, list[dict[str, Any]]]
MADE_FROM_ROWS = ("totals", "segment_moves")
"""Tables that a migration fills from others: what they hold is a sum, tested in test_aggregates."""


def test_every_step_up_and_down_keeps_what_both_revisions_have(url: str) -> None:
    """Rows put in at each revision stay at every later one, and on the way back as long as their tables are there."""
    put: Held = {}
    revisions = known_revisions()
    for number, revision in enumerate(revisions):
        upgrade(url, revision)
        with closing(Database(url)) as database, database.writing() as connection:
            _check(connection, put)
            for table in _tables(connection):
                insert_row(connection, table, _keys(connection, table, f"row-{number}", number + 1))
            put = _held(connection)
        assert revision == revisions[-1] or put
    assert max(len(rows) for rows in put.values()) == len(revisions)
    for revision in [*reversed(revisions[:-1]), "base"]:
        downgrade(url, revision)
        with closing(Database(url)) as database, database.reading() as connection:
            left = _tables(connection)
            assert bool(left) == (revision != "base")
            _check(connection, {table: rows for table, rows in put.items() if table in left})


def _tables(connection: Connection) -> list[str]:
    return sorted(set(inspect(connection).get_table_names()) - {"alembic_version", *MADE_FROM_ROWS})


def _keys(connection: Connection, table: str, name: str, number: int) -> dict[str, object]:
    """Return values that make a row of the table unlike every other."""
    columns = {column["name"]: column["type"] for column in inspect(connection).get_columns(table)}
    unique = set(inspect(connection).get_pk_constraint(table)["constrained_columns"])
    indexes = [index["column_names"] for index in inspect(connection).get_indexes(table) if index["unique"]]
    unique.update(name for names in indexes for name in names if name)
    return {
        column: name.encode()
        if isinstance(columns[column], LargeBinary)
        else name
        if columns[column].python_type is str
        else number
        for column in unique
    }


def _held(connection: Connection) -> Held:
    found = {}
    for table in _tables(connection):
        keys = inspect(connection).get_pk_constraint(table)["constrained_columns"]
        found[table] = rows_of(connection, table, ", ".join(f'"{key}"' for key in keys))
    return found


def _check(connection: Connection, put: Held) -> None:
    """Fail unless every row is there as it was put in, as far as both know its columns."""
    now = _held(connection)
    for table, rows in put.items():
        columns = rows[0].keys() & {column["name"] for column in inspect(connection).get_columns(table)}
        # A number in the feed is given anew where there was none.
        columns -= {"feed_seq"}
        assert [_only(row, columns) for row in now[table]] == [_only(row, columns) for row in rows], table


def _only(row: dict[str, Any], columns: set[str]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name in columns}


def test_a_step_that_fails_leaves_the_revision_before(url: str) -> None:
    """A migration that breaks half-way is undone whole, rows and tables, on either database."""
    upgrade(url, "0003")
    with closing(Database(url)) as database:
        with database.writing() as connection:
            insert_row(connection, "scores", {"event_id": "e1"})
            connection.execute(text("CREATE TABLE heartbeats (in_the_way INTEGER)"))
        before = _state(database)
        with pytest.raises(StoreError, match="the database refused"):
            upgrade(url)
        assert _state(database) == before


def _state(database: Database) -> tuple[Held, list[str]]:
    with database.reading() as connection:
        revision = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
        tables = sorted(inspect(connection).get_table_names())
        scores = rows_of(connection, "scores", "event_id")
    return {"scores": scores}, [*tables, revision]
