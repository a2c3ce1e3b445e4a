"""Segments: cut-offs, their band, and which policy is in force."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clv.outcomes import SEGMENTS, Segment
from clv.segments import Policies, SegmentPolicy, decide

POLICY = SegmentPolicy("p1", 0, high_minor=1_000, growth_minor=500)


@pytest.mark.parametrize(
    ("clv_minor", "held", "expected"),
    [
        (1_000, None, "High-CLV"),
        (999, None, "Growth-Potential"),
        (500, None, "Growth-Potential"),
        (499, None, "Low-CLV"),
        (0, None, "Low-CLV"),
        (900, "High-CLV", "High-CLV"),
        (899, "High-CLV", "Growth-Potential"),
        (450, "High-CLV", "Growth-Potential"),
        (449, "High-CLV", "Low-CLV"),
        (999, "Growth-Potential", "Growth-Potential"),
        (1_000, "Growth-Potential", "High-CLV"),
        (450, "Growth-Potential", "Growth-Potential"),
        (449, "Growth-Potential", "Low-CLV"),
        (499, "Low-CLV", "Low-CLV"),
        (500, "Low-CLV", "Growth-Potential"),
        (1_000, "Low-CLV", "High-CLV"),
    ],
)
def test_edges_of_the_cut_offs(clv_minor: int, held: Segment | None, expected: Segment) -> None:
    """Entered at the cut-off, left below nine tenths of it; a first score has no band."""
    assert decide(clv_minor, held, POLICY) == expected


@given(st.integers(1, 10**12), st.integers(-1, 1))
def test_nine_tenths_are_exact(cut_off: int, beside: int) -> None:
    """The edge of the band is nine tenths to the cent, however large the amount."""
    policy = SegmentPolicy("p", 0, high_minor=cut_off, growth_minor=0)
    clv_minor = max(cut_off * 9 // 10 + beside, 0)
    expected = "High-CLV" if clv_minor * 10 >= cut_off * 9 else "Growth-Potential"
    assert decide(clv_minor, "High-CLV", policy) == expected


@given(st.integers(0, 2_000), st.integers(0, 2_000), st.sampled_from([None, *SEGMENTS]))
def test_more_value_never_means_a_lower_segment(one: int, other: int, held: Segment | None) -> None:
    """For any segment held, segments rise with the CLV."""
    low, high = sorted((one, other))
    assert SEGMENTS.index(decide(high, held, POLICY)) <= SEGMENTS.index(decide(low, held, POLICY))


@given(st.integers(0, 2_000), st.sampled_from([None, *SEGMENTS]))
def test_deciding_twice_changes_nothing(clv_minor: int, held: Segment | None) -> None:
    """A segment just decided is kept by the same CLV."""
    once = decide(clv_minor, held, POLICY)
    assert once == decide(clv_minor, once, POLICY)


def test_the_newest_policy_in_force() -> None:
    """A policy rules from its own moment on; before the first there is none."""
    first, second = SegmentPolicy("p1", 100, 10, 5), SegmentPolicy("p2", 200, 20, 5)
    policies = Policies([second, first])
    assert [policies.at(at) for at in (99, 100, 199, 200)] == [None, first, first, second]
    assert (policies.named("p1"), policies.named("p9")) == (first, None)


def test_of_two_policies_of_one_moment_the_higher_version_rules() -> None:
    """Versions sort by sequence, so the one published last counts."""
    policies = Policies([SegmentPolicy("000002-b", 100, 20, 5), SegmentPolicy("000001-a", 100, 10, 5)])
    found = policies.at(100)
    assert found is not None
    assert found.version == "000002-b"
