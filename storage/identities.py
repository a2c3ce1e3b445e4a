"""Reading customers' identities from a table of the shop's, for the ads role alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import MetaData, Table, cast, select
from sqlalchemy import Text as SqlText
from sqlalchemy.exc import NoSuchTableError

from clv.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Collection

    from storage.engine import Database

_COLUMNS = ("email", "phone", "country", "opted_out")
_AT_ONCE = 500


def read_identities(database: Database, table: str, customer_ids: Collection[str]) -> dict[str, dict[str, Any]]:
    """Return what a table says of customers, by id: those of email, phone, country and opted_out that it has.

    Raises
    ------
    InputError
        When there is no such table or view, or it has no column ``customer_id``.
    StoreUnavailable
        When a retry may help.
    """
    schema, _, name = table.rpartition(".")
    ids = sorted(customer_ids)
    found: dict[str, dict[str, Any]] = {}
    with database.reading() as connection:
        try:
            theirs = Table(name, MetaData(), schema=schema or None, autoload_with=connection)
        except NoSuchTableError:
            raise InputError(f"there is no table {table} of identities", "set CLV_IDENTITY_TABLE") from None
        if "customer_id" not in theirs.c or not any(each in theirs.c for each in _COLUMNS):
            raise InputError(f"the table {table} has no columns customer_id and email or phone")
        key = cast(theirs.c.customer_id, SqlText)
        columns = [key.label("customer_id"), *(theirs.c[each] for each in _COLUMNS if each in theirs.c)]
        for start in range(0, len(ids), _AT_ONCE):
            # The comparison is with the column itself, so that its index serves; ids are text here.
            chosen = theirs.c.customer_id if _is_text(theirs) else key
            query = select(*columns).where(chosen.in_(ids[start : start + _AT_ONCE]))
            for row in connection.execute(query).mappings():
                found[row["customer_id"]] = dict(row)
    return found


def _is_text(table: Table) -> bool:
    try:
        return table.c.customer_id.type.python_type is str
    except NotImplementedError:
        return False
