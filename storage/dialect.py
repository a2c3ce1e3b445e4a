"""Where SQLite and PostgreSQL differ in SQL: order of text, bytes within bytes, inserts that meet an existing row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Text, func
from sqlalchemy.dialects import postgresql, sqlite

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Column, ColumnElement, Connection, Table


ORDERED_TEXT = Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
"""Text that sorts and compares by its bytes in UTF-8 on both, whatever the server's language."""


def insert_into(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """Return an insert that can say what happens where a row is there already."""
    return sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)


def has_bytes(connection: Connection, column: Column[bytes], part: ColumnElement[bytes]) -> ColumnElement[bool]:
    """Return the condition that a column's bytes hold these bytes somewhere; every row's are read."""
    if connection.dialect.name == "sqlite":
        return func.instr(column, part) > 0
    return func.position(part.op("IN")(column)) > 0


def upsert(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows; where a primary key exists, the given row replaces it. Later rows win over earlier ones."""
    if not rows:
        return
    statement = insert_into(connection, table)
    keys = [column.name for column in table.primary_key]
    changed = {column.name: statement.excluded[column.name] for column in table.columns if column.name not in keys}
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=changed), rows)


def insert_missing(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert the rows whose primary key is not there yet; the others stay as they are."""
    if rows:
        connection.execute(insert_into(connection, table).on_conflict_do_nothing(), rows)


def add_up(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows of sums; where a primary key exists, each figure is added to what is there."""
    if not rows:
        return
    statement = insert_into(connection, table)
    keys = [column.name for column in table.primary_key]
    sums = {
        column.name: column + statement.excluded[column.name] for column in table.columns if column.name not in keys
    }
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=sums), rows)
