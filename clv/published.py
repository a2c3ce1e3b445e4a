"""Names and versions of what the trainer publishes, and the policy that fixed cut-offs make."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clv.segments import SegmentPolicy

if TYPE_CHECKING:
    from clv.settings import Settings

SCORER_NAME = "scorer"
POLICY_NAME = "segment-policy"
ENSEMBLE_NAME = "ensemble"
_SEQUENCE_DIGITS = 6
LAST_SEQUENCE = 10**_SEQUENCE_DIGITS - 1


def version_of(sequence: int, digest: str) -> str:
    """Return the version of an artifact; versions sort as their sequence numbers do, over all names.

    Examples
    --------
    >>> version_of(12, "abcdef0123456789")
    '000012-abcdef012345'
    """
    return f"{sequence:0{_SEQUENCE_DIGITS}d}-{digest[:12]}"


def sequence_of(version: str) -> int:
    """Return the sequence number in a version."""
    return int(version[:_SEQUENCE_DIGITS])


def version_bound(sequence: int) -> str:
    """Return a text that sorts after every version up to this sequence and before those of the next."""
    return f"{sequence:0{_SEQUENCE_DIGITS}d}-~"


def fixed_policy(settings: Settings) -> SegmentPolicy | None:
    """Return the policy of ``CLV_SEGMENT_CUTOFFS``, None where the trainer's percentiles rule."""
    cutoffs = settings.fixed_cutoffs_minor()
    if cutoffs is None:
        return None
    high, growth = cutoffs
    return SegmentPolicy(f"fixed-{high}-{growth}", 0, high, growth)
