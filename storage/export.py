"""Whole tables for files: streamed rows with moments as RFC 3339 and money in the currency's major unit."""

from __future__ import annotations

import base64
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from sqlalchemy import select

from clv.features import FEATURE_NAMES
from clv.money import to_major
from clv.outcomes import rfc3339
from storage import tables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Table

    from storage.engine import Database

ExportName = Literal[
    "customers", "scores", "segment-changes", "budget-signals", "training-examples", "dead-letters", "models"
]
EXPORT_NAMES: tuple[ExportName, ...] = get_args(ExportName)
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


def export_columns(name: ExportName) -> list[str]:
    """Return the names of the columns that ``iter_export`` gives, in order."""
    columns: list[str] = []
    for column in _sources(name):
        columns.extend(FEATURE_NAMES if column == "features" else [_shown_name(column)])
    return columns


def iter_export(database: Database, name: ExportName, *, digits: int) -> Iterator[dict[str, Any]]:
    """Yield every row of a table in the order of its primary key, from one snapshot, in bounded memory.

    Parameters
    ----------
    digits
        Decimals of the reporting currency: ``clv_minor`` becomes ``clv``, decimal text in major units.

    Yields
    ------
    dict[str, Any]
        By the names of ``export_columns``. Moments are RFC 3339 in UTC, empty where unknown; bytes are Base64 text;
        features of training examples are a column each and stay in minor units, as their names say.

    Raises
    ------
    StoreUnavailable
        When a retry may help.
    """
    table, sources = _table(name), _sources(name)
    query = select(*(table.c[source] for source in sources)).order_by(*table.primary_key)
    with database.reading() as connection, connection.execution_options(yield_per=_CHUNK).execute(query) as rows:
        for row in rows:
            shown: dict[str, Any] = {}
            for source, value in zip(sources, row, strict=True):
                if source == "features":
                    # An example of another build may have fewer or more; its feature_digest says so.
                    features = np.frombuffer(value, dtype="<f8").tolist()
                    shown.update(zip_longest(FEATURE_NAMES, features[: len(FEATURE_NAMES)]))
                else:
                    shown[_shown_name(source)] = _shown(source, value, digits)
            yield shown


def _table(name: ExportName) -> Table:
    return tables.metadata.tables[name.replace("-", "_")]


def _sources(name: ExportName) -> list[str]:
    columns = [column.name for column in _table(name).columns]
    if name != "customers":
        return columns
    return [*_FIRST_CUSTOMER_COLUMNS, *(column for column in columns if column not in _FIRST_CUSTOMER_COLUMNS)]


def _shown_name(column: str) -> str:
    if column.endswith("_ms"):
        return f"{column.removesuffix('_ms')}_at" if column != "as_of_ms" else "as_of"
    return column.removesuffix("_minor")


def _shown(column: str, value: Any, digits: int) -> Any:
    if value is None:
        return None
    if column.endswith("_ms"):
        return rfc3339(value)
    if column.endswith("_minor"):
        return to_major(round(value), digits)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value
