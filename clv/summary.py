"""A customer's summary: aggregated figures without the events behind them, checked against each other.

What ``POST /api/predict`` is given, and what a row of the aggregated customers file comes to. Predicting from it is
``models.aggregated``.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from typing import TYPE_CHECKING

import msgspec

from clv.errors import InvalidSummary
from clv.events import MAX_ID_LENGTH
from clv.money import MAX_AMOUNT_MINOR

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_ORDERS = 100_000
MAX_SUMMARY_DAYS = 36_500
MAX_CATEGORIES = 10_000
UNKNOWN = -1
"""Stands for a figure that was not given."""

_WIDE = Context(prec=60)
_NUMBER_LENGTH = 40


class CustomerSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One customer, seen from a stated day; optional figures are ``UNKNOWN``, texts empty, where they were not given.

    ``first_purchase_days`` and ``last_purchase_days`` count back from that day, so the first is the larger one.
    """

    order_count: int
    spent_minor: int
    first_purchase_days: float
    last_purchase_days: float
    category_count: int = UNKNOWN
    acquisition_source: str = ""
    campaign_type: str = ""
    acquisition_cost_minor: int = UNKNOWN
    engagement_rate: float = UNKNOWN
    return_rate: float = UNKNOWN


def check_summary(fields: Mapping[str, object], *, digits: int) -> CustomerSummary:
    """Check the figures of one customer, as ``POST /api/predict`` names them.

    Parameters
    ----------
    fields
        Needed: ``total_orders``, ``total_spent``, ``days_since_first_purchase``, ``days_since_last_purchase``.
        Optional, absent or None: ``avg_order_value``, ``num_categories``, ``acquisition_source``, ``campaign_type``,
        ``acquisition_cost``, ``email_engagement_rate``, ``return_rate``. Numbers, or their decimal text. Other names
        are not looked at.
    digits
        Decimals of the currency; amounts with more are rounded half up.

    Raises
    ------
    InvalidSummary
        With every field that is missing or impossible, or that contradicts another, and why.

    Examples
    --------
    >>> fields = {"total_orders": 3, "total_spent": 100, "avg_order_value": 33.33}
    >>> check_summary(fields | {"days_since_first_purchase": 90, "days_since_last_purchase": 30}, digits=2).spent_minor
    10000
    >>> check_summary(fields | {"days_since_first_purchase": 9, "days_since_last_purchase": 30}, digits=2)
    Traceback (most recent call last):
    clv.errors.InvalidSummary: days_since_last_purchase is 30, before the first purchase 9 days ago
    """
    check = _Check(fields, digits)
    orders = check.whole("total_orders", 1, MAX_ORDERS)
    spent = check.amount("total_spent")
    average = check.number("avg_order_value", 0, MAX_AMOUNT_MINOR, is_needed=False)
    first = check.number("days_since_first_purchase", 0, MAX_SUMMARY_DAYS)
    last = check.number("days_since_last_purchase", 0, MAX_SUMMARY_DAYS)
    summary = {
        "category_count": check.whole("num_categories", 0, MAX_CATEGORIES, is_needed=False),
        "acquisition_source": check.text("acquisition_source"),
        "campaign_type": check.text("campaign_type"),
        "acquisition_cost_minor": check.amount("acquisition_cost", is_needed=False),
        "engagement_rate": check.rate("email_engagement_rate"),
        "return_rate": check.rate("return_rate"),
    }
    if orders is not None and spent is not None and average is not None:
        check.average(orders, spent, average)
    if orders is not None and first is not None and last is not None:
        check.days(orders, first, last)
    check.end()
    assert orders is not None
    assert spent is not None
    given = {name: value for name, value in summary.items() if value is not None}
    days = {"first_purchase_days": float(first or 0), "last_purchase_days": float(last or 0)}
    return CustomerSummary(order_count=orders, spent_minor=spent, **days, **given)  # type: ignore[arg-type]


class _Check:
    """Reads fields and gathers what is wrong with them; a field that is wrong, or not given, reads as None."""

    def __init__(self, fields: Mapping[str, object], digits: int) -> None:
        self._fields = fields
        self._digits = digits
        self._problems: list[tuple[str, str]] = []

    def end(self) -> None:
        if self._problems:
            raise InvalidSummary(self._problems)

    def number(self, name: str, least: int, most: int, *, is_needed: bool = True) -> Decimal | None:
        value = self._fields.get(name)
        if value is None:
            if is_needed:
                self.refuse(name, "is missing")
            return None
        number = _decimal(value)
        if number is None:
            self.refuse(name, "is not a finite number")
        elif number < least:
            self.refuse(name, "is negative" if least == 0 else f"is below {least}")
        elif number > most:
            self.refuse(name, f"is above {most}")
        else:
            return number
        return None

    def whole(self, name: str, least: int, most: int, *, is_needed: bool = True) -> int | None:
        number = self.number(name, least, most, is_needed=is_needed)
        if number is not None and number != int(number):
            self.refuse(name, f"is {number}, not a whole number")
            return None
        return None if number is None else int(number)

    def amount(self, name: str, *, is_needed: bool = True) -> int | None:
        number = self.number(name, 0, (MAX_AMOUNT_MINOR - 1) // 10**self._digits, is_needed=is_needed)
        return None if number is None else int(number.scaleb(self._digits, _WIDE).quantize(Decimal(1), ROUND_HALF_UP))

    def rate(self, name: str) -> float | None:
        number = self.number(name, 0, MAX_AMOUNT_MINOR, is_needed=False)
        if number is not None and number > 1:
            self.refuse(name, f"is {number}, and a share lies between 0 and 1: 0.4 stands for 40 %")
            return None
        return None if number is None else float(number)

    def text(self, name: str) -> str | None:
        value = self._fields.get(name)
        if value is None:
            return None
        if not isinstance(value, str) or len(value) > MAX_ID_LENGTH:
            self.refuse(name, f"is not a text of at most {MAX_ID_LENGTH} characters")
            return None
        return value

    def average(self, orders: int, spent_minor: int, average: Decimal) -> None:
        """Refuse an average that is off by more than half a minor unit an order, and half of one for the total."""
        scaled = average.scaleb(self._digits, _WIDE)
        if abs(scaled * orders - spent_minor) * 2 > orders + 1:
            spent = Decimal(spent_minor).scaleb(-self._digits)
            wanted = (spent / orders).quantize(Decimal(1).scaleb(-self._digits), ROUND_HALF_UP)
            why = f"is {average}, but total_spent {spent} over total_orders {orders} is {wanted}"
            self.refuse("avg_order_value", why)

    def days(self, orders: int, first: Decimal, last: Decimal) -> None:
        name = "days_since_last_purchase"
        if last > first:
            self.refuse(name, f"is {last}, before the first purchase {first} days ago")
        elif orders == 1 and last != first:
            self.refuse(name, f"is {last}, but the only order was the first, {first} days ago")

    def refuse(self, name: str, why: str) -> None:
        self._problems.append((name, why))


def _decimal(value: object) -> Decimal | None:
    """Return a finite number as the decimal that it is written as; None where it is none, or written absurdly long."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return None
    if isinstance(value, int) and abs(value) >= 10**_NUMBER_LENGTH:
        return None
    text = str(value).strip()
    if len(text) > _NUMBER_LENGTH or not text.isascii() or "_" in text:
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() and (not number or abs(number.adjusted()) <= _NUMBER_LENGTH) else None
