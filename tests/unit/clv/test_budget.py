"""The budget baseline, to the cent."""

from __future__ import annotations

from fractions import Fraction

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clv.budget import BASELINE_SHARES, baseline_signals, cac_target_minor, has_moved, split_exactly
from clv.outcomes import SEGMENTS, Segment

CUSTOMERS: dict[Segment, tuple[int, int]] = {"High-CLV": (20, 400_000), "Growth-Potential": (30, 90_000)}


@given(st.integers(0, 10**16), st.lists(st.integers(0, 1_000), min_size=3, max_size=3).filter(any))
def test_parts_sum_to_the_total(total_minor: int, weights: list[int]) -> None:
    """Whatever the total and the shares, nothing is lost to rounding and no part is a cent or more off."""
    shares = {segment: Fraction(weight, sum(weights)) for segment, weight in zip(SEGMENTS, weights, strict=True)}
    parts = split_exactly(total_minor, shares)
    assert sum(parts.values()) == total_minor
    assert all(abs(parts[segment] - total_minor * share) < 1 for segment, share in shares.items())


@pytest.mark.parametrize(
    ("total_minor", "expected"),
    [
        (0, [0, 0, 0]),
        (1, [1, 0, 0]),
        (2, [1, 1, 0]),
        (3, [2, 1, 0]),
        (10, [5, 4, 1]),
        (1_000_000, [500_000, 350_000, 150_000]),
    ],
)
def test_the_largest_remainder_gets_the_cent(total_minor: int, expected: list[int]) -> None:
    """Cents left over go to the largest remainders, ties to the earlier segment."""
    assert expected == list(split_exactly(total_minor, BASELINE_SHARES).values())


@pytest.mark.parametrize(
    ("clv_minor", "margin", "expected"),
    [
        (0, 1.0, 0),
        (89_250, 1.0, 26_775),
        (5, 1.0, 2),
        (4, 1.0, 1),
        (1_000, 0.35, 105),
    ],
)
def test_acquisition_may_cost_thirty_percent_of_margin(clv_minor: int, margin: float, expected: int) -> None:
    """Thirty per cent of the margin's part of a CLV, rounded half up."""
    assert expected == cac_target_minor(clv_minor, margin)


def test_baseline_signals() -> None:
    """Each segment gets its share, its mean CLV and its CAC target; one without customers still has its share."""
    signals = baseline_signals(10_001, CUSTOMERS, margin=0.5)
    assert [s.segment for s in signals] == list(SEGMENTS)
    assert [s.amount_minor for s in signals] == [5_001, 3_500, 1_500]
    assert [s.baseline_amount_minor for s in signals] == [5_001, 3_500, 1_500]
    assert [s.share for s in signals] == [0.5, 0.35, 0.15]
    assert [(s.customers, s.mean_clv_minor, s.cac_target_minor) for s in signals] == [
        (20, 20_000, 3_000),
        (30, 3_000, 450),
        (0, 0, 0),
    ]


def test_nothing_new_is_not_said_again() -> None:
    """The same mix is no news; an amount, one per cent of the mix, or over two per cent of a CAC target are."""
    before = baseline_signals(10_000, CUSTOMERS, margin=1.0)
    assert not has_moved(before, before)
    assert has_moved(before, baseline_signals(10_001, CUSTOMERS, margin=1.0))
    assert has_moved(before, baseline_signals(10_000, CUSTOMERS | {"Low-CLV": (1, 100)}, margin=1.0))
    dearer = [msgspec.structs.replace(s, cac_target_minor=s.cac_target_minor * 103 // 100) for s in before]
    alike = [msgspec.structs.replace(s, cac_target_minor=s.cac_target_minor * 102 // 100) for s in before]
    assert has_moved(before, dearer)
    assert not has_moved(before, alike)
