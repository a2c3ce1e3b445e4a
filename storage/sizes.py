"""What the tables take on disk, indexes included: for ``clv bench size``."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import create_engine, func, select, text

from storage import tables

if TYPE_CHECKING:
    from storage.engine import Database

_SIZED = (
    tables.customers,
    tables.scores,
    tables.segment_changes,
    tables.training_examples,
    tables.customer_states,
)
_BYTES = {
    "sqlite": "SELECT coalesce(m.tbl_name, s.name), sum(s.pgsize) FROM dbstat s "
    "LEFT JOIN sqlite_master m ON m.name = s.name GROUP BY 1",
    "postgresql": "SELECT relname, pg_total_relation_size(relid) FROM pg_catalog.pg_statio_user_tables",
}


class Sizes(NamedTuple):
    """Rows and bytes of the tables that grow, and the mean bytes of a customer's row and of the models' artifacts."""

    rows: dict[str, int]
    taken_bytes: dict[str, int]
    total_bytes: int
    state_bytes: float
    artifact_bytes: int


def compact(url: str) -> None:
    """Leave no dead rows, of which there are as many as the server's own vacuum happens to have left.

    Locks each table while it is rewritten.
    """
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("VACUUM" if connection.dialect.name == "sqlite" else "VACUUM FULL"))
    engine.dispose()


def has_tables(database: Database) -> bool:
    """Tell whether a sink has made its tables."""
    with database.reading() as connection:
        return connection.dialect.has_table(connection, tables.sink_offsets.name)


def measure_sizes(database: Database) -> Sizes:
    """Return what tables take with their indexes.

    Raises
    ------
    StoreUnavailable
        When a retry may help.
    """
    payloads = select(func.coalesce(func.sum(func.length(tables.artifacts.c.payload)), 0))
    with database.reading() as connection:
        taken = {name: int(size) for name, size in connection.execute(text(_BYTES[connection.dialect.name])).all()}
        rows = {
            table.name: int(connection.execute(select(func.count()).select_from(table)).scalar_one())
            for table in _SIZED
        }
        state = connection.execute(select(func.avg(func.length(tables.customer_states.c.row)))).scalar_one()
        artifacts = int(connection.execute(payloads).scalar_one())
    return Sizes(rows, {name: taken[name] for name in rows}, sum(taken.values()), float(state or 0), artifacts)
