"""Exact money."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clv.errors import ConfigError, InvalidEvent
from clv.money import MAX_AMOUNT_MINOR, minor_digits, to_major, to_minor


@given(st.integers(-MAX_AMOUNT_MINOR + 1, MAX_AMOUNT_MINOR - 1), st.sampled_from([0, 2, 3]))
def test_minor_to_major_and_back(amount_minor: int, digits: int) -> None:
    """Writing an amount and reading it again gives the amount."""
    assert amount_minor == to_minor(to_major(amount_minor, digits), digits)


@given(st.integers(-(10**11), 10**11), st.sampled_from([0, 2, 3]))
def test_floats_count_as_their_shortest_text(amount_minor: int, digits: int) -> None:
    """A JSON number nearest to an amount is the amount."""
    assert amount_minor == to_minor(float(to_major(amount_minor, digits)), digits)


@pytest.mark.parametrize(
    ("currency", "text", "expected"),
    [("USD", "0.29", 29), ("JPY", "500", 500), ("JPY", "500.000", 500), ("KWD", "1.234", 1234), ("EUR", "-0.00", 0)],
)
def test_each_currency_has_its_decimals(currency: str, text: str, expected: int) -> None:
    """Yen have none, dinars three; zeros beyond them lose nothing and pass."""
    assert expected == to_minor(text, minor_digits(currency))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        ".",
        "1.",
        ".5",
        "+5",
        " 5",
        "5 ",
        "5\n",
        "1_000",
        "1,000",
        "1.000,00",
        "1e3",
        "1E3",
        "0x10",
        "NaN",
        "Infinity",
        "sNaN",
        "--1",
        "1.2.3",
        "１２",
        "٣",
        "1۰",
        "²",
        "½",
        "$5",
        "5 USD",
        "1\u200b",
        "null",
    ],
)
def test_text_must_be_plain_ascii_decimals(text: str) -> None:
    """What only a locale or a programming language takes for a number is refused."""
    with pytest.raises(InvalidEvent) as caught:
        to_minor(text, 2)
    assert caught.value.reason == "bad_amount"


@pytest.mark.parametrize(
    "amount",
    [
        "0.001",
        "1." + "0" * 200 + "1",
        0.001,
        1e-300,
        Decimal("1e-99"),
        10**14,
        1e300,
        10**400,
        "1000000000000",
        float("nan"),
        float("inf"),
        Decimal("sNaN"),
        Decimal("-Infinity"),
        Decimal("1e999999"),
        "-1000000000000",
    ],
)
def test_amounts_that_cannot_be(amount: str | float | Decimal) -> None:
    """More decimals than cents, not finite, or absurdly large: refused without building huge numbers."""
    with pytest.raises(InvalidEvent) as caught:
        to_minor(amount, 2)
    assert caught.value.reason == "bad_amount"


def test_the_largest_amount() -> None:
    """One cent below absurdly large still counts."""
    assert to_minor("999999999999.99", 2) == MAX_AMOUNT_MINOR - 1


@pytest.mark.parametrize("currency", ["", "US", "usd", "USDT", "U1D", "€€€", "ÄÖÜ"])
def test_a_currency_is_three_capital_letters(currency: str) -> None:
    """Anything else is a setting gone wrong."""
    with pytest.raises(ConfigError, match="CLV_CURRENCY"):
        minor_digits(currency)
