"""Names and versions of what the trainer publishes, and the policy that fixed cut-offs make."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clv.errors import ConfigError, InvalidEvent
from clv.money import minor_digits, to_minor
from clv.segments import SegmentPolicy

if TYPE_CHECKING:
    from clv.settings import Settings

SCORER_NAME = "scorer"
POLICY_NAME = "segment-policy"
_SEQUENCE_DIGITS = 6


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
    """Return the policy of ``CLV_SEGMENT_CUTOFFS``, None where the trainer's percentiles rule.

    Raises
    ------
    ConfigError
        When it is not two amounts, the higher first.
    """
    if not settings.segment_cutoffs:
        return None
    try:
        high, growth = (
            to_minor(part.strip(), minor_digits(settings.currency)) for part in settings.segment_cutoffs.split(",")
        )
    except (ValueError, InvalidEvent) as problem:
        raise ConfigError("CLV_SEGMENT_CUTOFFS is not two amounts", "for example 500,100") from problem
    if not high >= growth > 0:
        raise ConfigError("CLV_SEGMENT_CUTOFFS must be positive, the higher first", "for example 500,100")
    return SegmentPolicy(f"fixed-{high}-{growth}", 0, high, growth)
