"""What may be shown of a record: its shape, and not what it says; its id, if it is one of ours."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

# What the contract names is no secret, and without it a shape tells nothing.
_NAMES = (
    *("type", "event_id", "customer_id", "occurred_at", "schema_version", "order_id", "total", "currency", "items"),
    *("sku", "category", "quantity", "unit_price", "acquisition", "source", "campaign_type", "cost", "refund_id"),
    *("amount", "campaign_id", "action", "as_of"),
    *("OrderPlaced", "OrderRefunded", "EmailEngaged", "CustomerErased", "RescoreAsked", "Tick"),
)
_OUR_ID = re.compile(rb"[0-9a-f]{32}")
_KEPT_OR_SECRET = re.compile(rf'"(?:{"|".join(_NAMES)})"|\w')


def masked(data: bytes | None) -> str:
    """Return bytes as text that shows their shape: letters become x, digits 0; the contract's own names stay.

    Examples
    --------
    >>> masked(b'{"total": "19.90", "email": "a@b.example"}')
    '{"total": "00.00", "xxxxx": "x@x.xxxxxxx"}'
    """
    text = (data or b"").decode("utf-8", "replace")
    return _KEPT_OR_SECRET.sub(
        lambda found: found[0] if found[0][0] == '"' else "0" if found[0].isdigit() else "x", text
    )


def logged_id(headers: Iterable[tuple[str, bytes]]) -> str:
    """Return a record's event id for a line in the log: 32 hexadecimal digits, or nothing where a header says more.

    Examples
    --------
    >>> logged_id([("ce_id", b"0123456789abcdef0123456789abcdef")]), logged_id([("ce_id", b"a@b.example")])
    ('0123456789abcdef0123456789abcdef', '')
    """
    found = dict(headers).get("ce_id") or b""
    return found.decode() if _OUR_ID.fullmatch(found) else ""
