"""Ids and times of what goes out."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clv.events import MAX_MS
from clv.outcomes import event_id, rfc3339


@given(st.integers(0, 2 * MAX_MS))
def test_times_can_be_read_back(at_ms: int) -> None:
    """RFC 3339 in UTC holds every millisecond."""
    text = rfc3339(at_ms)
    assert text.endswith("Z")
    assert round(datetime.fromisoformat(text).timestamp() * 1000) == at_ms


@pytest.mark.parametrize(
    ("at_ms", "expected"),
    [
        (-1, ""),
        (0, "1970-01-01T00:00:00Z"),
        (1, "1970-01-01T00:00:00.001Z"),
        (951_782_400_000, "2000-02-29T00:00:00Z"),
        (1_714_557_600_250, "2024-05-01T10:00:00.250Z"),
    ],
)
def test_times_are_written_in_utc(at_ms: int, expected: str) -> None:
    """Whole seconds have no fraction; an unknown time is empty."""
    assert expected == rfc3339(at_ms)
    if at_ms >= 0:
        assert datetime.fromisoformat(expected).tzinfo == UTC


def test_an_id_is_a_function_of_its_cause() -> None:
    """The same cause has the same id in every process; 32 hexadecimal digits."""
    assert event_id("score", "c1", "e1", "v3", 7) == "eb94e9edd41c1a63b8dbeb4a2c4c2b63"


@given(st.lists(st.text(max_size=5), min_size=1, max_size=4), st.lists(st.text(max_size=5), min_size=1, max_size=4))
def test_different_causes_have_different_ids(one: list[str], other: list[str]) -> None:
    """No two causes share an id, also where their texts run together or hold a separator."""
    assert (event_id(*one) == event_id(*other)) is (one == other)


def test_a_separator_inside_an_id_is_not_a_border() -> None:
    """A customer cannot take another's event ids by the spelling of its own."""
    assert event_id("score", "a\x1fb", "c") != event_id("score", "a", "b\x1fc")
