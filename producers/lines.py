"""Lines of an order log, checked and packed into number columns; ``producers.fold`` makes orders of them.

A bad line goes to the rejects with its line number; a line without a customer is counted and passed over.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Context, Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np
import pandas as pd

from clv.errors import InputError, InvalidEvent
from clv.events import MAX_ID_LENGTH, MAX_MS
from clv.money import to_minor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from producers.rejects import Rejects
    from producers.rows import RowChunk

COLUMNS = ("line", "customer", "order", "at", "amount", "category", "acquisition", "refunded")
"""Number columns of the packed lines; ``at`` in epoch milliseconds, ``amount`` in minor units, −1 is "none"."""
T = TypeVar("T")
_MOST_DIGITS = 100
"""Characters of an amount: texts of amounts are kept for a while, and nobody writes longer ones."""
_NO_CUSTOMER = frozenset({"", "nan", "NaN", "null", "NULL", "None", "<NA>"})
# A float64 carries 15 decimal digits: what a text has beyond them is the noise of a printed float.
_FLOAT_DIGITS = Context(prec=15)


class Names(Generic[T]):
    """Give each distinct value a small number, in the order of first sight."""

    def __init__(self) -> None:
        self.known: list[T] = []
        self._codes: dict[T, int] = {}

    def code(self, value: T) -> int:
        """Return the number of ``value``; −1 for an empty one."""
        if not value:
            return -1
        found = self._codes.setdefault(value, len(self.known))
        if found == len(self.known):
            self.known.append(value)
        return found


@dataclass(slots=True)
class Lines:
    """Checked lines as they come in, chunk by chunk.

    Parameters
    ----------
    currency, digits
        Currency that every line must be in, and its number of decimals.
    date_format
        ``strptime`` format of the time column; empty: ISO 8601. A time without an offset is UTC, a date is UTC
        midnight.
    """

    currency: str
    digits: int
    rejects: Rejects
    date_format: str = ""
    customers: Names[str] = field(default_factory=Names)
    orders: Names[str] = field(default_factory=Names)
    categories: Names[str] = field(default_factory=Names)
    acquisitions: Names[tuple[str, str, int] | None] = field(default_factory=Names)
    rows: int = 0
    skipped_no_customer: int = 0
    rounded: int = 0
    emails_dropped: int = 0
    _parts: list[np.ndarray[tuple[int, int], np.dtype[np.int64]]] = field(default_factory=list)

    def add(self, chunk: RowChunk) -> None:
        """Check a chunk's rows and pack the good ones."""
        times = _times_ms(chunk.cells["occurred_at"], self.date_format)
        fields = tuple(chunk.cells)
        packed: list[tuple[int, ...]] = []
        self.rows += len(chunk.lines)
        for line, at, *texts in zip(chunk.lines, times, *chunk.cells.values(), strict=True):
            cells = dict(zip(fields, texts, strict=True))
            self.emails_dropped += bool(cells.get("email"))
            if cells["customer_id"].strip() in _NO_CUSTOMER:
                self.skipped_no_customer += 1
                continue
            try:
                packed.append(self._pack(line, at, cells))
            except InvalidEvent as problem:
                self.rejects.add(line, problem.reason, str(problem), cells)
        if packed:
            self._parts.append(np.asarray(packed, dtype=np.int64))

    def frame(self) -> pd.DataFrame:
        """Return the packed lines, in the file's order, and let go of them here."""
        parts = self._parts or [np.empty((0, len(COLUMNS)), dtype=np.int64)]
        self._parts = []
        return pd.DataFrame(np.concatenate(parts), columns=list(COLUMNS))

    def _pack(self, line: int, at: int, cells: Mapping[str, str]) -> tuple[int, ...]:
        if not 0 <= at <= MAX_MS:
            wanted = self.date_format or "ISO 8601"
            raise InvalidEvent(f"the time is not {wanted}, or outside 1970 to 2200", "bad_time")
        currency = cells.get("currency", "").strip()
        if currency and currency != self.currency:
            raise InvalidEvent(f"the currency is not {self.currency}", "foreign_currency")
        amount, is_rounded = _amount_minor(
            cells.get("amount"), cells.get("quantity", ""), cells.get("unit_price", ""), self.digits
        )
        row = (
            line,
            self.customers.code(_checked_id(cells["customer_id"], "customer_id")),
            self.orders.code(_checked_id(cells.get("order_id", ""), "order_id")),
            at,
            amount,
            self.categories.code(_label(cells, "category")),
            self.acquisitions.code(self._acquisition(cells)),
            self.orders.code(_checked_id(cells.get("refunded_order_id", ""), "refunded_order_id")),
        )
        self.rounded += is_rounded
        return row

    def _acquisition(self, cells: Mapping[str, str]) -> tuple[str, str, int] | None:
        source, campaign = _label(cells, "acquisition_source"), _label(cells, "campaign_type")
        cost = cells.get("acquisition_cost", "").strip()
        cost_minor = _amount_minor(cost, "", "", self.digits)[0] if cost else 0
        if cost_minor < 0:
            raise InvalidEvent("the acquisition cost is negative", "bad_amount")
        return (source, campaign, cost_minor) if source or campaign or cost else None


def _times_ms(texts: list[str], date_format: str) -> list[int]:
    """Read times as epoch milliseconds; −1 for what cannot be read."""
    try:
        read = pd.to_datetime(
            pd.Series(texts, dtype=object), format=date_format or "ISO8601", utc=True, errors="coerce"
        )
    except ValueError as problem:
        raise InputError(f"--date-format {date_format!r}: {problem}", "for example '%d/%m/%Y %H:%M'") from problem
    is_read = read.notna().to_numpy()
    whole: list[int] = read.dt.as_unit("ms").astype("int64").where(is_read, -1).tolist()
    return whole


def _amount_minor(amount: str | None, quantity: str, unit_price: str, digits: int) -> tuple[int, bool]:
    """Return a line's amount in minor units, and whether quantity × unit price had to be rounded to them."""
    if len(amount or "") + len(quantity) + len(unit_price) > _MOST_DIGITS:
        raise InvalidEvent(f"the amount has more than {_MOST_DIGITS} characters", "bad_amount")
    return _known_amount_minor(amount, quantity, unit_price, digits)


@lru_cache(maxsize=65_536)
def _known_amount_minor(amount: str | None, quantity: str, unit_price: str, digits: int) -> tuple[int, bool]:
    try:
        if amount is not None:
            return to_minor(_FLOAT_DIGITS.plus(Decimal(amount.strip())), digits), False
        exact = _FLOAT_DIGITS.plus(Decimal(quantity.strip())) * _FLOAT_DIGITS.plus(Decimal(unit_price.strip()))
        rounded = exact.quantize(Decimal(1).scaleb(-digits))
        return to_minor(rounded, digits), rounded != exact
    except ArithmeticError:
        raise InvalidEvent("the amount is not a number", "bad_amount") from None


def _checked_id(text: str, name: str) -> str:
    text = text.strip()
    if len(text) > MAX_ID_LENGTH:
        raise InvalidEvent(f"{name} has more than {MAX_ID_LENGTH} characters", "bad_id")
    if "\ufffd" in text or "\x00" in text:
        raise InvalidEvent(f"{name} is not text in the file's encoding", "bad_id")
    return text


def _label(cells: Mapping[str, str], name: str) -> str:
    return cells.get(name, "").strip()[:MAX_ID_LENGTH]
