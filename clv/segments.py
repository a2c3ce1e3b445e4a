"""Segments: cut-offs by policy, entered at the cut-off and left below nine tenths of it."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

import msgspec

from clv.outcomes import SEGMENTS, Segment

if TYPE_CHECKING:
    from collections.abc import Sequence

HYSTERESIS = 0.9


class SegmentPolicy(msgspec.Struct, frozen=True):
    """Cut-offs of a version; in force from ``effective_ms`` of event time."""

    version: str
    effective_ms: int
    high_minor: int
    growth_minor: int


def decide(clv_minor: int, current: Segment | None, policy: SegmentPolicy) -> Segment:
    """Return the segment of a CLV, given the one held so far (None at first: no band).

    Examples
    --------
    >>> policy = SegmentPolicy("p1", 0, high_minor=1000, growth_minor=500)
    >>> decide(950, None, policy), decide(950, "High-CLV", policy), decide(899, "High-CLV", policy)
    ('Growth-Potential', 'High-CLV', 'Growth-Potential')
    """
    cut_offs = (policy.high_minor, policy.growth_minor, 0)
    held = SEGMENTS.index(current) if current else len(SEGMENTS)
    for place, cut_off in enumerate(cut_offs):
        limit = cut_off * HYSTERESIS if held <= place else cut_off
        if clv_minor >= limit:
            return SEGMENTS[place]
    return SEGMENTS[-1]


class Policies:
    """The published policies, newest last; immutable."""

    def __init__(self, policies: Sequence[SegmentPolicy] = ()) -> None:
        self._policies = sorted(policies, key=lambda p: (p.effective_ms, p.version))
        self._times = [p.effective_ms for p in self._policies]

    def at(self, as_of_ms: int) -> SegmentPolicy | None:
        """Return the newest policy in force at a moment, None before the first."""
        place = bisect_right(self._times, as_of_ms)
        return self._policies[place - 1] if place else None

    def named(self, version: str) -> SegmentPolicy | None:
        """Return the policy of a version, if it is still held."""
        return next((p for p in self._policies if p.version == version), None)
