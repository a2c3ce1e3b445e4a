"""Events as bytes."""

from __future__ import annotations

import pytest

from clv.events import CustomerErased, EmailEngaged, Event, OrderPlaced, OrderRefunded, Tick, decode_event
from producers.encode import encode_event, key_of, tick_event

AT = 1_704_067_200_123  # 2024-01-01T00:00:00.123Z


@pytest.mark.parametrize(
    "event",
    [
        OrderPlaced("e1", "0c", AT, "o1", 1990, ("toys", "books"), "search", "brand", 350),
        OrderPlaced("e1", "c", AT, "o1", 0),
        OrderPlaced("e1", "ü", AT, "o1", 99_999_999_999_999, (), "", "", 0),
        OrderRefunded("e1", "c", AT, "r1", 5, "o1"),
        OrderRefunded("e1", "c", AT, "r1", 5),
        EmailEngaged("e1", "c", AT, "m1", "opened"),
        CustomerErased("e1", "c", AT),
        Tick("e1", AT),
    ],
    ids=lambda event: type(event).__name__,
)
@pytest.mark.parametrize(("currency", "digits"), [("USD", 2), ("JPY", 0), ("KWD", 3)])
def test_decode_inverts_encode(event: Event, currency: str, digits: int) -> None:
    """The contract's decoder reads back the same event, in currencies with any number of decimals."""
    key = None if isinstance(event, Tick) else key_of(event)
    assert (
        decode_event(encode_event(event, currency=currency, digits=digits), key, currency=currency, digits=digits)
        == event
    )


def test_a_tick_is_the_same_for_the_same_moment_and_differs_by_partition() -> None:
    """Sent twice it is a duplicate; each partition has its own."""
    assert tick_event(1, AT) == tick_event(1, AT)
    assert tick_event(1, AT) != tick_event(2, AT)
