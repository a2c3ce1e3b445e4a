"""Whole tables for files: streamed rows with moments as RFC 3339 and money in the currency's major unit.

Examples are for computing with, not for reading: their money stays in minor units, as exact as it was scored.
"""

from __future__ import annotations

import base64
from decimal import Decimal
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from sqlalchemy import Float, Integer, func, select

from clv.features import FEATURE_NAMES
from clv.money import to_major
from clv.outcomes import rfc3339
from storage import tables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Column, Table

    from storage.engine import Database

ExportName = Literal["customers", "scores", "segment-changes", "budget-signals", "examples", "dead-letters", "models"]
EXPORT_NAMES: tuple[ExportName, ...] = get_args(ExportName)
Kind = type[str] | type[int] | type[float] | type[Decimal] | type[bytes]
_CHUNK = 1_000
_FIRST_CUSTOMER_COLUMNS = (
    "customer_id",
    "order_count",
    "revenue_minor",
    "refunded_minor",
    "first_order_ms",
    "last_order_ms",
    "clv_minor",
    "clv_lower_minor",
    "clv_upper_minor",
    "segment",
)


def export_columns(name: ExportName) -> dict[str, Kind]:
    """Return name and kind of the columns that ``iter_export`` gives, in order.

    ``Decimal`` is exact decimal text, ``bytes`` Base64 text, ``str`` any other text.
    """
    columns: dict[str, Kind] = {}
    for source in _sources(name):
        if source == "features":
            columns.update(dict.fromkeys(FEATURE_NAMES, float))
        else:
            columns[_shown_name(name, source)] = _kind(name, _table(name).c[source])
    return columns


def count_rows(database: Database, name: ExportName) -> int:
    """Return how many rows an export would have now.

    Raises
    ------
    StoreUnavailable
        When a retry may help.
    """
    with database.reading() as connection:
        return connection.execute(select(func.count()).select_from(_table(name))).scalar_one()


def iter_export(database: Database, name: ExportName, *, digits: int) -> Iterator[dict[str, Any]]:
    """Yield every row of a table from one snapshot, in bounded memory: by primary key, examples by maturity.

    Parameters
    ----------
    digits
        Decimals of the reporting currency: ``clv_minor`` becomes ``clv``, decimal text in major units.

    Yields
    ------
    dict[str, Any]
        By the names of ``export_columns``. Moments are RFC 3339 in UTC, empty where unknown; bytes are Base64 text.
        Of examples each feature is a column, and predictions and value stay in minor units, as their names say.

    Raises
    ------
    StoreUnavailable
        When a retry may help.
    """
    table, sources = _table(name), _sources(name)
    order = (table.c.matured_ms, table.c.event_id) if name == "examples" else table.primary_key
    query = select(*(table.c[source] for source in sources)).order_by(*order)
    with database.streaming() as connection, connection.execution_options(yield_per=_CHUNK).execute(query) as rows:
        for row in rows:
            shown: dict[str, Any] = {}
            for source, value in zip(sources, row, strict=True):
                if source == "features":
                    # An example of another build may have fewer or more; its feature_digest says so.
                    features = np.frombuffer(value, dtype="<f8").tolist()
                    shown.update(zip_longest(FEATURE_NAMES, features[: len(FEATURE_NAMES)]))
                else:
                    shown[_shown_name(name, source)] = _shown(name, source, value, digits)
            yield shown


def _table(name: ExportName) -> Table:
    return tables.training_examples if name == "examples" else tables.metadata.tables[name.replace("-", "_")]


def _sources(name: ExportName) -> list[str]:
    columns = [column.name for column in _table(name).columns]
    if name != "customers":
        return columns
    return [*_FIRST_CUSTOMER_COLUMNS, *(column for column in columns if column not in _FIRST_CUSTOMER_COLUMNS)]


def _is_decimal(name: ExportName, column: str) -> bool:
    return column.endswith("_minor") and name != "examples"


def _kind(name: ExportName, column: Column[Any]) -> Kind:
    if _is_decimal(name, column.name):
        return Decimal
    if column.name.endswith("_ms"):
        return str
    if isinstance(column.type, Float):
        return float
    if isinstance(column.type, Integer):
        return int
    return bytes if column.type.python_type is bytes else str


def _shown_name(name: ExportName, column: str) -> str:
    if column.endswith("_ms"):
        return f"{column.removesuffix('_ms')}_at" if column != "as_of_ms" else "as_of"
    return column.removesuffix("_minor") if _is_decimal(name, column) else column


def _shown(name: ExportName, column: str, value: Any, digits: int) -> Any:
    if value is None:
        return None
    if column.endswith("_ms"):
        return rfc3339(value)
    if _is_decimal(name, column):
        return to_major(round(value), digits)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value
