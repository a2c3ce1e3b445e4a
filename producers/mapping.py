"""Which column of an order log means what: recognised by name, or given by the user.

Nothing here opens a file; ``producers.rows`` reads the header and the cells.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from clv.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ALIASES: dict[str, tuple[str, ...]] = {
    "customer_id": ("customerid", "customer", "custid", "clientid", "userid", "shopperid", "householdid"),
    "order_id": (
        *("orderid", "order", "ordernumber", "orderno", "invoice", "invoiceno", "invoiceid", "invoicenumber"),
        *("transactionid", "basketid"),
    ),
    "occurred_at": (
        *("occurredat", "date", "datetime", "timestamp", "orderdate", "orderedat", "invoicedate"),
        *("purchasedate", "purchasedat", "transactiondate", "createdat"),
    ),
    "amount": ("amount", "total", "ordertotal", "totalamount", "ordervalue", "netamount", "revenue", "sales"),
    "quantity": ("quantity", "qty", "units"),
    "unit_price": ("unitprice", "price", "itemprice"),
    "currency": ("currency", "currencycode"),
    "category": ("category", "productcategory", "department"),
    "email": ("email", "emailaddress", "customeremail"),
    "acquisition_source": ("acquisitionsource", "source", "channel", "utmsource"),
    "campaign_type": ("campaigntype", "campaign", "utmcampaign"),
    "acquisition_cost": ("acquisitioncost", "cac"),
    "refunded_order_id": ("refundedorderid", "originalorderid", "refundof"),
}
"""Field of an order log → names it goes by, best first; case, spaces and punctuation do not count."""


def parse_map(text: str) -> dict[str, str]:
    """Read ``field=Column,field=Column`` as ``--map`` takes it.

    Raises
    ------
    InputError
        When a part has no ``=`` or names a field that does not exist.

    Examples
    --------
    >>> parse_map("customer_id=CustomerID, order_id=InvoiceNo")
    {'customer_id': 'CustomerID', 'order_id': 'InvoiceNo'}
    """
    given: dict[str, str] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        field, equals, column = (piece.strip() for piece in part.partition("="))
        if not equals or not column:
            raise InputError(f"--map has {part!r}", "write field=Column, separated by commas")
        field = "occurred_at" if field == "date" else field
        if field not in ALIASES:
            raise InputError(f"--map names the unknown field {field!r}", f"fields: {', '.join(ALIASES)}")
        given[field] = column
    return given


def recognise(header: Sequence[str], given: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return field → column for a header; what the user gave stands, the rest goes by name.

    An ``amount`` column wins over ``quantity`` × ``unit_price``, unless the user gave these two and no amount.

    Raises
    ------
    InputError
        When a given column is missing, or customer, time or amount cannot be found.

    Examples
    --------
    >>> recognise(["Customer ID", "Date", "Amount"])
    {'customer_id': 'Customer ID', 'occurred_at': 'Date', 'amount': 'Amount'}
    """
    found = dict(given or {})
    for column in found.values():
        if column not in header:
            raise InputError(f"there is no column {column!r}", f"columns: {', '.join(header)}")
    by_name: dict[str, str] = {}
    for column in header:
        if column not in found.values():
            by_name.setdefault(re.sub(r"[\W_]+", "", column).lower(), column)
    has_priced_lines = {"quantity", "unit_price"} <= found.keys()
    for field, aliases in ALIASES.items():
        if field in found or (field == "amount" and has_priced_lines):
            continue
        named = [by_name[alias] for alias in aliases if alias in by_name]
        if named:
            found[field] = named[0]
    if "amount" in found:
        found = {field: column for field, column in found.items() if field not in {"quantity", "unit_price"}}
    _check_complete(found, header)
    return found


def _check_complete(found: Mapping[str, str], header: Sequence[str]) -> None:
    missing = [field for field in ("customer_id", "occurred_at") if field not in found]
    if "amount" not in found and not {"quantity", "unit_price"} <= found.keys():
        missing.append("amount (or quantity and unit_price)")
    if missing:
        raise InputError(
            f"no column is recognised as {', '.join(missing)}",
            f"give it, e.g. --map customer_id={header[0] if header else 'CustomerID'}; columns: {', '.join(header)}",
        )
