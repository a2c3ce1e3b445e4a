"""Rows: their bytes, and what a position in them means."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clv.errors import IncompatibleArtifact
from clv.state import (
    NEVER_MS,
    CustomerState,
    Pending,
    Row,
    decode_row,
    due_of,
    encode_row,
    incarnation_code,
    is_erased,
    pack_floats,
    unpack_floats,
)
from clv.totals import Totals

STATE = CustomerState(
    totals=Totals(order_count=3, revenue_minor=10**14, closed_square_sum=1e28),
    ledger=bytes(range(64)),
    latest_ms=1_714_557_600_000,
    base=Totals(order_count=1),
    pending=[Pending(5, -1, is_silence=True, value_minor=-7, scored=b"\0\1", scorer_version="v1")],
    categories={2**64 - 1: 5, 0: 7},
    source="söarch",
    segment="High-CLV",
)


@given(st.integers(0, NEVER_MS), st.integers(-1, 2**62), st.integers(0, 2**32 - 1))
def test_decode_inverts_encode(due_ms: int, applied_offset: int, incarnation: int) -> None:
    """State, position and due time come back from a row's bytes."""
    row = encode_row(Row(STATE, applied_offset, due_ms), incarnation)
    assert Row(STATE, applied_offset, due_ms) == decode_row(row, incarnation)
    assert due_ms == due_of(row)


def test_a_position_in_another_incarnation_means_nothing() -> None:
    """Once the topic was made anew, no record counts as applied; the state stays."""
    row = encode_row(Row(STATE, 9, 5), incarnation_code("old"))
    assert Row(STATE, -1, 5) == decode_row(row, incarnation_code("new"))


def test_a_row_tells_of_an_erasure() -> None:
    """Only a customer that was erased at some time counts as such; bytes that are no row tell nothing."""
    assert not is_erased(encode_row(Row(STATE, 9, 5), 1))
    assert is_erased(encode_row(Row(msgspec.structs.replace(STATE, erased_ms=0), 9, 5), 1))
    assert not is_erased(b"none")


def test_a_row_shares_nothing_with_another() -> None:
    """Two readings of a row can be changed apart, and a new customer's state is its own."""
    row = encode_row(Row(STATE, 9, 5), 1)
    one, other = decode_row(row, 1), decode_row(row, 1)
    one.state.pending.clear()
    one.state.categories[1] = 1
    one.state.totals.order_count += 1
    assert other.state == STATE
    CustomerState().pending.append(Pending(1, -1, is_silence=False))
    assert CustomerState().pending == []


def test_topics_have_codes_of_32_bits() -> None:
    """Different topic ids give different codes."""
    codes = {incarnation_code(f"topic-{number}") for number in range(100)}
    assert len(codes) == 100
    assert all(0 <= code < 2**32 for code in codes)


@given(st.lists(st.floats(width=32, allow_nan=False), max_size=30))
def test_floats_come_back(values: list[float]) -> None:
    """Values of 32 bits keep their place and value."""
    assert tuple(values) == unpack_floats(pack_floats(values))


def test_a_truncated_row_is_no_row() -> None:
    """A damaged row raises; it is never read as another state."""
    row = encode_row(Row(STATE, 9, 5), 1)
    for length in (0, 5, 20, 22, len(row) - 3):
        with pytest.raises(IncompatibleArtifact):
            decode_row(row[:length], 1)
