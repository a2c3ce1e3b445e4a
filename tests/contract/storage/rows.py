"""Rows of tables as they are in the database, whatever revision they are of."""

from __future__ import annotations

from sqlalchemy import Connection, inspect, text


def insert_row(connection: Connection, table: str, changes: dict[str, object]) -> None:
    """Insert a row into a table of whatever revision, with an empty value in every other column."""
    empty: dict[str, object] = {
        "INTEGER": 0,
        "BIGINT": 0,
        "NUMERIC": 0,
        "FLOAT": 0.0,
        "DOUBLE PRECISION": 0.0,
        "BLOB": b"",
        "BYTEA": b"",
    }
    row = {
        column["name"]: empty.get(str(column["type"]).partition("(")[0], "")
        for column in inspect(connection).get_columns(table)
    } | changes
    names, values = ", ".join(f'"{name}"' for name in row), ", ".join(f":{name}" for name in row)
    connection.execute(text(f"INSERT INTO {table} ({names}) VALUES ({values})"), row)


def rows_of(connection: Connection, table: str, key: str) -> list[dict[str, object]]:
    """Return every row of a table of whatever revision, in the order of a column or several."""
    return [dict(row) for row in connection.execute(text(f"SELECT * FROM {table} ORDER BY {key}")).mappings()]
