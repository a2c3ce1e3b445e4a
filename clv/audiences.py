"""Which audiences there are, and who belongs to each: pure functions of a customer's latest score."""

from __future__ import annotations

from typing import Literal

import msgspec

from clv.budget import STRATEGIES
from clv.outcomes import Segment

CHURN_RISK = 0.6
"""From this churn probability on a customer counts as about to leave."""
VALUE_TOLERANCE = 0.1
"""A value that a platform was told is told again once the score has moved by more than this part of it."""
SEED = "CLV seed"
Label = Literal["HIGH_VALUE_CUSTOMERS", "LOW_VALUE_CUSTOMERS", "AT_RISK", "GENERAL_CUSTOMERS"]


class Lookalike(msgspec.Struct, frozen=True):
    """Which part of a population is looked for by its likeness to an audience: ``ratio`` in 0.01-0.20."""

    ratio: float
    is_value_based: bool = False


class AudienceSpec(msgspec.Struct, frozen=True, kw_only=True):
    """An audience as it should be.

    Parameters
    ----------
    name
        As the platform shows it; says nothing of anybody's finances, which Meta stops (operation status 471).
    purpose
        What it is for, in words.
    label
        Meta's word for whom it holds.
    segment
        Whom it holds where it is a segment's audience, else None.
    is_value_based
        Whether each member is delivered with their CLV.
    lookalike
        What is made of it, None for nothing.
    """

    name: str
    purpose: str
    label: Label
    segment: Segment | None = None
    is_value_based: bool = False
    lookalike: Lookalike | None = None


class Candidate(msgspec.Struct, frozen=True):
    """What decides which audiences a customer belongs to; CLV in minor units."""

    customer_id: str
    segment: Segment | None
    clv_minor: int
    churn_probability: float
    order_count: int
    reason: str = ""


AUDIENCES: tuple[AudienceSpec, ...] = (
    AudienceSpec(
        name="CLV tier A",
        purpose=STRATEGIES["High-CLV"],
        label="HIGH_VALUE_CUSTOMERS",
        segment="High-CLV",
        lookalike=Lookalike(0.01),
    ),
    AudienceSpec(
        name="CLV tier B",
        purpose=STRATEGIES["Growth-Potential"],
        label="GENERAL_CUSTOMERS",
        segment="Growth-Potential",
        lookalike=Lookalike(0.02),
    ),
    AudienceSpec(name="CLV tier C", purpose=STRATEGIES["Low-CLV"], label="LOW_VALUE_CUSTOMERS", segment="Low-CLV"),
    AudienceSpec(
        name=SEED,
        purpose="finding others by value: every buyer with their predicted value",
        label="GENERAL_CUSTOMERS",
        is_value_based=True,
        lookalike=Lookalike(0.01, is_value_based=True),
    ),
    AudienceSpec(
        name="CLV existing customers",
        purpose="left out of campaigns that look for new customers",
        label="GENERAL_CUSTOMERS",
    ),
    AudienceSpec(name="CLV win back", purpose="bought before and about to leave", label="AT_RISK"),
)
"""Every audience that is kept, in the order in which it is shown and synchronised."""
BY_NAME = {spec.name: spec for spec in AUDIENCES}


def belongs(candidate: Candidate, spec: AudienceSpec) -> bool:
    """Tell whether a customer belongs to an audience.

    Examples
    --------
    >>> loyal = Candidate("c1", "High-CLV", 52_000, 0.1, 7)
    >>> [spec.name for spec in AUDIENCES if belongs(loyal, spec)]
    ['CLV tier A', 'CLV seed', 'CLV existing customers']
    """
    if spec.segment is not None:
        return candidate.segment == spec.segment
    if spec.name == SEED:
        return candidate.order_count > 0 and candidate.clv_minor > 0
    if spec.label == "AT_RISK":
        return candidate.order_count > 0 and candidate.churn_probability >= CHURN_RISK
    return candidate.order_count > 0


def is_value_stale(told_minor: int, clv_minor: int) -> bool:
    """Tell whether a customer's value has moved so far that the platform should hear of it again.

    Examples
    --------
    >>> is_value_stale(10_000, 10_900), is_value_stale(10_000, 11_100)
    (False, True)
    """
    return abs(clv_minor - told_minor) > VALUE_TOLERANCE * max(told_minor, 1)
