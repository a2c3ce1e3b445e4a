"""Which column means what."""

from __future__ import annotations

import pytest

from clv.errors import InputError
from producers.mapping import parse_map, recognise


def test_names_are_recognised_whatever_their_spelling() -> None:
    """Case, spaces and underscores do not matter."""
    found = recognise(["Customer ID", "ORDER_ID", "Order Date", "Total", "E-mail"])
    assert found == {
        "customer_id": "Customer ID",
        "order_id": "ORDER_ID",
        "occurred_at": "Order Date",
        "amount": "Total",
        "email": "E-mail",
    }


def test_an_amount_wins_over_quantity_and_price() -> None:
    """A log with all three is read by its amount."""
    found = recognise(["customer_id", "date", "quantity", "unit_price", "amount"])
    assert sorted(found) == ["amount", "customer_id", "occurred_at"]


def test_given_quantity_and_price_win_over_a_recognised_amount() -> None:
    """Who maps quantity and price wants them used."""
    given = {"quantity": "Quantity", "unit_price": "UnitPrice"}
    found = recognise(["customer_id", "date", "amount", "Quantity", "UnitPrice"], given)
    assert sorted(found) == ["customer_id", "occurred_at", "quantity", "unit_price"]


def test_the_map_of_a_public_invoice_log() -> None:
    """The documented example maps every field it names."""
    text = "customer_id=CustomerID,order_id=InvoiceNo,occurred_at=InvoiceDate,quantity=Quantity,unit_price=UnitPrice"
    header = ["InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country"]
    given = parse_map(text)
    assert recognise(header, given) == given
    assert recognise(header) == given


@pytest.mark.parametrize(
    ("header", "given", "message"),
    [
        pytest.param(["date", "amount"], {}, "no column is recognised as customer_id", id="no-customer"),
        pytest.param(["customer_id", "date", "quantity"], {}, "amount (or quantity and unit_price)", id="no-amount"),
        pytest.param(["customer_id", "date", "amount"], {"email": "Mail"}, "no column 'Mail'", id="not-there"),
    ],
)
def test_what_is_missing_is_named(header: list[str], given: dict[str, str], message: str) -> None:
    """An unusable header is refused with the missing part in the message."""
    with pytest.raises(InputError) as caught:
        recognise(header, given)
    assert message in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize("text", ["customer_id", "customer_id=", "nothing=Column"])
def test_a_map_that_makes_no_sense_is_refused(text: str) -> None:
    """Each part needs a known field and a column."""
    with pytest.raises(InputError):
        parse_map(text)
