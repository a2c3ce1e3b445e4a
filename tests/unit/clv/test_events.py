"""What the one door lets in, and the reason that everything else is given."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clv.errors import EventError
from clv.events import (
    MAX_MS,
    MAX_VALUE_BYTES,
    REJECTION_REASONS,
    CustomerErased,
    EmailEngaged,
    Event,
    OrderPlaced,
    OrderRefunded,
    Tick,
    decode_event,
    parse_time_ms,
)

FIELDS = {"event_id": "e1", "customer_id": "c1", "occurred_at": "2024-05-01T12:00:00+02:00", "schema_version": 1}
ORDER = FIELDS | {"type": "OrderPlaced", "order_id": "o1", "total": "19.90", "currency": "USD"}
REFUND = FIELDS | {"type": "OrderRefunded", "refund_id": "r1", "amount": "5.00", "currency": "USD"}
EMAIL = FIELDS | {"type": "EmailEngaged", "campaign_id": "spring", "action": "clicked"}
AT_MS = 1_714_557_600_000


def decode(value: bytes | None, key: bytes | None = b"c1", *, currency: str = "USD", digits: int = 2) -> Event:
    """Decode with a dollar deployment's settings."""
    return decode_event(value, key, currency=currency, digits=digits)


def encoded(body: dict[str, Any], **changes: Any) -> bytes:
    """Write an event with some of its fields changed."""
    return json.dumps(body | changes).encode()


def reason_of(value: bytes | None, key: bytes | None = b"c1") -> str:
    """The reason for which a value is refused."""
    with pytest.raises(EventError) as caught:
        decode(value, key)
    assert caught.value.reason in REJECTION_REASONS
    return caught.value.reason


def test_an_order_is_read_in_exact_minor_units() -> None:
    """An order's money is whole cents, its time UTC milliseconds, its categories distinct and in order."""
    items = [{"category": "shoes"}, {"category": "hats"}, {"category": "shoes"}, {}]
    acquisition = {"source": "search", "campaign_type": "brand", "cost": 3.5}
    expected = OrderPlaced("e1", "c1", AT_MS, "o1", 1990, ("shoes", "hats"), "search", "brand", 350)
    assert expected == decode(encoded(ORDER, items=items, acquisition=acquisition, unheard_of={"x": [1]}))


def test_the_other_types_are_read() -> None:
    """Refunds, e-mail events, erasures and Ticks keep their own fields."""
    assert OrderRefunded("e1", "c1", AT_MS, "r1", 500, "o1") == decode(encoded(REFUND, order_id="o1"))
    assert OrderRefunded("e1", "c1", AT_MS, "r1", 500, "") == decode(encoded(REFUND, order_id=None))
    assert EmailEngaged("e1", "c1", AT_MS, "spring", "clicked") == decode(encoded(EMAIL))
    assert CustomerErased("e1", "c1", AT_MS) == decode(encoded(FIELDS | {"type": "CustomerErased"}))
    tick = {"type": "Tick", "event_id": "t", "as_of": 1.5, "schema_version": 1}
    assert Tick("t", 1_500) == decode(encoded(tick), None)


def test_the_last_of_two_equal_keys_counts() -> None:
    """A JSON object that names a field twice means its last value."""
    event = decode(encoded(ORDER)[:-1] + b', "total": "2.00"}')
    assert isinstance(event, OrderPlaced)
    assert event.total_minor == 200


@pytest.mark.parametrize(
    ("reason", "value"),
    [
        pytest.param("no_value", None, id="tombstone"),
        pytest.param("undecodable", b"", id="empty"),
        pytest.param("undecodable", encoded(ORDER)[:-10], id="truncated"),
        pytest.param("undecodable", encoded(ORDER) + b"x", id="trailing"),
        pytest.param("undecodable", b"\xef\xbb\xbf" + encoded(ORDER), id="byte-order-mark"),
        pytest.param("undecodable", encoded(ORDER).replace(b'"o1"', b'"\xff\xfe"'), id="invalid-utf8"),
        pytest.param("undecodable", encoded(ORDER).replace(b'"o1"', b'"\\ud800"'), id="lone-surrogate"),
        pytest.param("undecodable", encoded(ORDER).replace(b'"19.90"', b"NaN"), id="nan"),
        pytest.param("undecodable", encoded(ORDER).replace(b'"19.90"', b"-Infinity"), id="infinity"),
        pytest.param("undecodable", encoded(ORDER).replace(b'"19.90"', b"01"), id="leading-zero"),
        pytest.param("undecodable", b'{"type":"OrderPlaced","x":' + b"[" * 100_000, id="deep-and-cut"),
        pytest.param("undecodable", b'{"x":' + b"[" * 9_000 + b"]" * 9_000 + b"}", id="deep"),
        pytest.param("invalid", b"[]", id="not-an-object"),
        pytest.param("invalid", b'"OrderPlaced"', id="a-string"),
        pytest.param("invalid", b"{}", id="no-fields"),
        pytest.param("invalid", encoded(ORDER).replace(b'"19.90"', b"1e400"), id="1e400"),
        pytest.param("invalid", encoded(ORDER, total=True), id="boolean-amount"),
        pytest.param("invalid", encoded(ORDER, total=None), id="null-amount"),
        pytest.param("invalid", encoded(ORDER, total=["1"]), id="list-amount"),
        pytest.param("invalid", encoded(ORDER, occurred_at=True), id="boolean-time"),
        pytest.param("invalid", encoded(ORDER, schema_version="1"), id="version-as-text"),
        pytest.param("invalid", encoded(ORDER, schema_version=True), id="version-as-boolean"),
        pytest.param("invalid", encoded(ORDER, event_id=7), id="number-as-id"),
        pytest.param("invalid", encoded(ORDER, items={}), id="items-not-a-list"),
        pytest.param("invalid", encoded(ORDER, items=[{"quantity": -1}]), id="negative-quantity"),
        pytest.param("invalid", encoded(ORDER, items=[{}] * 10_001), id="too-many-items"),
        pytest.param("invalid", encoded(EMAIL, action="forwarded"), id="unknown-action"),
        pytest.param("unknown_type", encoded(ORDER, type="OrderShipped"), id="unknown-type"),
        pytest.param("unknown_schema_version", encoded(ORDER, schema_version=2), id="version-2"),
        pytest.param("unknown_schema_version", encoded(ORDER, schema_version=0), id="version-0"),
        pytest.param(
            "unknown_schema_version", b'{"type":"OrderPlaced","schema_version":2}', id="version-2-other-shape"
        ),
        pytest.param("bad_id", encoded(ORDER, event_id=""), id="empty-event-id"),
        pytest.param("bad_id", encoded(ORDER, order_id="o" * 257), id="long-order-id"),
        pytest.param("bad_id", encoded(ORDER, order_id="o\0"), id="nul-in-order-id"),
        pytest.param("bad_id", encoded(ORDER, acquisition={"source": "\0"}), id="nul-in-a-text"),
        pytest.param("key_mismatch", encoded(ORDER, customer_id="c2"), id="other-key"),
        pytest.param("foreign_currency", encoded(ORDER, currency="EUR"), id="euro"),
        pytest.param("foreign_currency", encoded(ORDER, currency="usd"), id="lower-case-currency"),
        pytest.param("foreign_currency", encoded(REFUND, currency=""), id="no-currency"),
        pytest.param("bad_amount", encoded(ORDER, total="-0.01"), id="negative-order"),
        pytest.param("bad_amount", encoded(REFUND, amount=-5), id="negative-refund"),
        pytest.param("bad_amount", encoded(ORDER, acquisition={"cost": -1}), id="negative-cost"),
        pytest.param("bad_amount", encoded(ORDER, total="19.905"), id="too-many-decimals"),
        pytest.param("bad_amount", encoded(ORDER, total="1." + "0" * 40 + "1"), id="a-decimal-far-out"),
        pytest.param("bad_amount", encoded(ORDER, total="1000000000000"), id="a-trillion"),
        pytest.param("bad_amount", encoded(ORDER, total=10**400), id="400-digits"),
        pytest.param("bad_amount", encoded(ORDER, total="9" * 100_000), id="100000-digits-as-text"),
        pytest.param("bad_time", encoded(ORDER, occurred_at="2024-05-01T12:00:00"), id="no-offset"),
        pytest.param("bad_time", encoded(ORDER, occurred_at="2024-05-01"), id="date-only"),
        pytest.param("bad_time", encoded(ORDER, occurred_at="2024-02-30T00:00:00Z"), id="no-such-day"),
        pytest.param("bad_time", encoded(ORDER, occurred_at="2024-W01-1T00:00:00Z"), id="week-date"),
        pytest.param("bad_time", encoded(ORDER, occurred_at="yesterday"), id="words"),
        pytest.param("bad_time", encoded(ORDER, occurred_at="1714557600"), id="epoch-as-text"),
        pytest.param("bad_time", encoded(ORDER, occurred_at=-0.001), id="before-1970"),
        pytest.param("bad_time", encoded(ORDER, occurred_at="0001-01-01T00:00:00+23:59"), id="year-1"),
        pytest.param("bad_time", encoded(ORDER, occurred_at="2200-01-01T00:00:00.001Z"), id="after-2200"),
        pytest.param("bad_time", encoded(ORDER, occurred_at=1.7e12), id="milliseconds-as-seconds"),
        pytest.param("bad_time", encoded(ORDER, occurred_at=10**400), id="time-of-400-digits"),
        pytest.param("too_large", b" " * (MAX_VALUE_BYTES + 1), id="too-large"),
    ],
)
def test_rubbish_is_refused_with_its_reason(reason: str, value: bytes | None) -> None:
    """Each kind of bad record is refused with the documented reason, and never crashes."""
    assert reason == reason_of(value)


@pytest.mark.parametrize("key", [None, b"", b"c", b"c1 ", b"\xff"], ids=["none", "empty", "part", "space", "not-utf8"])
def test_the_key_must_be_the_customer(key: bytes | None) -> None:
    """A record whose key is not its customer would be reduced in another customer's partition."""
    assert reason_of(encoded(ORDER), key) == "key_mismatch"


def test_a_customer_cannot_take_the_place_of_the_partitions_own_row() -> None:
    """Keys that begin with NUL belong to the store."""
    assert reason_of(encoded(ORDER, customer_id="\0partition"), b"\0partition") == "bad_id"


def test_an_escaped_backslash_is_no_nul() -> None:
    """A backslash and u0000 written out are text like any other, and NULs in ignored fields do not matter."""
    event = decode(encoded(ORDER, order_id="\\u0000", note="\0"))
    assert isinstance(event, OrderPlaced)
    assert event.order_id == "\\u0000"


@pytest.mark.parametrize("length", [1, 256])
def test_ids_up_to_256_characters_pass(length: int) -> None:
    """The bounds of an id's length belong to it."""
    name = "ü" * length
    event = decode(encoded(ORDER, customer_id=name), name.encode())
    assert isinstance(event, OrderPlaced)
    assert event.customer_id == name


@pytest.mark.parametrize(
    ("expected", "value"),
    [
        (0, 0),
        (0, "1970-01-01T00:00:00Z"),
        (MAX_MS, MAX_MS // 1000),
        (MAX_MS, "2200-01-01T00:00:00Z"),
        (AT_MS, "2024-05-01T10:00:00z"),
        (AT_MS, "2024-05-01t05:30:00-04:30"),
        (AT_MS + 123, "2024-05-01 10:00:00.123999999Z"),
        (AT_MS + 500, 1_714_557_600.5),
    ],
)
def test_times_at_the_bounds(expected: int, value: str | float) -> None:
    """1970 and 2200 themselves pass, with any offset, letter case and fraction that RFC 3339 allows."""
    assert expected == parse_time_ms(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_times_that_are_no_numbers(value: float) -> None:
    """A time that is not finite is refused before any arithmetic."""
    with pytest.raises(EventError) as caught:
        parse_time_ms(value)
    assert caught.value.reason == "bad_time"


def test_the_message_never_repeats_the_value() -> None:
    """A dead letter's detail says which field is wrong and keeps what was in it out."""
    with pytest.raises(EventError) as caught:
        decode(encoded(EMAIL, action="someone@example.com"))
    assert "$.action" in str(caught.value)
    assert "someone" not in str(caught.value)


@settings(max_examples=1_000, deadline=None)
@given(st.binary(max_size=200), st.binary(max_size=4) | st.none())
def test_arbitrary_bytes_only_raise_event_errors(value: bytes, key: bytes | None) -> None:
    """No bytes crash the door."""
    with pytest.raises(EventError):
        decode(value, key)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["c1", "USD", "9.99", 1]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(sorted(ORDER | REFUND | EMAIL | {"items": 0, "acquisition": 0, "as_of": 0}))


@settings(max_examples=2_000, deadline=None)
@given(
    st.sampled_from([ORDER, REFUND, EMAIL, FIELDS | {"type": "Tick"}]),
    st.dictionaries(NAMES, JSON, max_size=4),
)
def test_arbitrary_fields_only_raise_event_errors(body: dict[str, Any], changes: dict[str, Any]) -> None:
    """Whatever JSON stands in the fields, the door decodes it or refuses it with a documented reason."""
    at_ms, reason = 0, ""
    try:
        at_ms = decode(encoded(body, **changes)).occurred_ms
    except EventError as problem:
        reason = problem.reason
    assert reason in ("", *REJECTION_REASONS)
    assert 0 <= at_ms <= MAX_MS


@given(st.text(min_size=1, max_size=20), st.integers(0, 10**13))
def test_decode_inverts_encode(name: str, cents: int) -> None:
    """What a producer writes in text comes back, ids as they were and money to the cent."""
    body = ORDER | {
        "customer_id": "c1",
        "order_id": name.replace("\0", "0"),
        "total": f"{cents // 100}.{cents % 100:02d}",
    }
    event = decode(msgspec.json.encode(body))
    assert isinstance(event, OrderPlaced)
    assert (event.order_id, event.total_minor) == (name.replace("\0", "0"), cents)
