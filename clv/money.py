"""Exact money: decimal text or numbers of the contract to integer minor units and back."""

from __future__ import annotations

import re
from decimal import MAX_PREC, Context, Decimal

from clv.errors import ConfigError, InvalidEvent

MAX_AMOUNT_MINOR = 10**14
"""Absurdly large: amounts at or above it are rejected (a trillion of a two-digit currency)."""

_TEXT = re.compile(r"(-?[0-9]+)(?:\.([0-9]+))?")
_SHORT_DIGITS = 10
"""With so few characters before the point an amount is within bounds, and needs no decimal arithmetic."""
_EXACT = Context(prec=MAX_PREC)
# ISO 4217 minor units that differ from two.
_DIGITS = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND"), 0),
    **dict.fromkeys(("VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}


def minor_digits(currency: str) -> int:
    """Return the number of decimals of ``currency`` (ISO 4217 minor unit).

    Raises
    ------
    ConfigError
        When it is not three capital letters.

    Examples
    --------
    >>> minor_digits("USD"), minor_digits("JPY")
    (2, 0)
    """
    if len(currency) != 3 or not currency.isascii() or not currency.isalpha() or not currency.isupper():
        raise ConfigError(f"CLV_CURRENCY is {currency!r}", "three capital letters of ISO 4217, e.g. USD")
    return _DIGITS.get(currency, 2)


def to_minor(amount: str | float | Decimal, digits: int) -> int:
    """Convert an amount in major units to integer minor units, exactly.

    A float counts as its shortest decimal text, so that 0.1 means ten cents. Text is plain ASCII decimals: an optional
    minus, digits, and a point with digits; nothing that locales or programming languages add to that.

    Raises
    ------
    InvalidEvent
        Reason ``bad_amount`` when it is not a finite number, has more decimals than the currency, or is absurdly large.

    Examples
    --------
    >>> to_minor("19.90", 2), to_minor(0.1, 2), to_minor(5, 0)
    (1990, 10, 5)
    """
    if isinstance(amount, str):
        found = _TEXT.fullmatch(amount)
        if not found:
            raise InvalidEvent("an amount is not a plain decimal number", "bad_amount")
        whole, decimals = found.groups(default="")
        if len(decimals) <= digits and len(whole) <= _SHORT_DIGITS:
            return int(whole + decimals.ljust(digits, "0"))
    value = Decimal(str(amount)) if isinstance(amount, float) else Decimal(amount)
    # adjusted() bounds the magnitude before any arithmetic: 1e999999999 must not build a billion digits.
    if not value.is_finite() or (value and value.adjusted() > 16):
        raise InvalidEvent("an amount is not finite or absurdly large", "bad_amount")
    # As many digits as the text may have: rounding to a context's precision would hide decimals too many.
    scaled = value.scaleb(digits, _EXACT)
    minor = int(scaled)
    if scaled != minor:
        raise InvalidEvent(f"an amount has more than {digits} decimals", "bad_amount")
    if abs(minor) >= MAX_AMOUNT_MINOR:
        raise InvalidEvent("an amount is absurdly large", "bad_amount")
    return minor


def to_major(amount_minor: int, digits: int) -> str:
    """Write integer minor units as decimal text in major units.

    Examples
    --------
    >>> to_major(1990, 2), to_major(-5, 2), to_major(7, 0)
    ('19.90', '-0.05', '7')
    """
    return str(Decimal(amount_minor).scaleb(-digits).quantize(Decimal(1).scaleb(-digits)))
