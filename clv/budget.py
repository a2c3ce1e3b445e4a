"""The budget baseline: fixed shares by segment, exact to the cent, and what a new customer may cost."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from clv.outcomes import SEGMENTS, Segment, SegmentSignal

if TYPE_CHECKING:
    from collections.abc import Mapping

BASELINE_SHARES: dict[Segment, Fraction] = {
    "High-CLV": Fraction(50, 100),
    "Growth-Potential": Fraction(35, 100),
    "Low-CLV": Fraction(15, 100),
}
"""The trade's 3:2:1 rule."""
CAC_SHARE = Fraction(30, 100)
"""Part of a CLV that acquiring the customer may cost."""
STRATEGIES: dict[Segment, str] = {
    "High-CLV": "value optimisation, 1 % lookalikes",
    "Growth-Potential": "conversion optimisation",
    "Low-CLV": "cost caps, testing only",
}
BASELINE = "baseline, no response data"


def split_exactly(total_minor: int, shares: Mapping[Segment, Fraction]) -> dict[Segment, int]:
    """Split an amount by shares so that the parts sum to it: largest remainder, ties to the earlier segment.

    Examples
    --------
    >>> split_exactly(101, BASELINE_SHARES)
    {'High-CLV': 51, 'Growth-Potential': 35, 'Low-CLV': 15}
    """
    exact = {segment: total_minor * share for segment, share in shares.items()}
    parts = {segment: int(amount) for segment, amount in exact.items()}
    order = sorted(exact, key=lambda segment: exact[segment] - parts[segment], reverse=True)
    for segment in order[: total_minor - sum(parts.values())]:
        parts[segment] += 1
    return parts


def cac_target_minor(clv_minor: int, margin: float = 1.0) -> int:
    """Return 30 % of a CLV's margin in minor units, rounded half up.

    Examples
    --------
    >>> cac_target_minor(89250)
    26775
    """
    exact = clv_minor * CAC_SHARE * Fraction(str(margin))
    return int(exact + Fraction(1, 2))


def baseline_signals(
    total_minor: int, customers: Mapping[Segment, tuple[int, int]], *, margin: float
) -> list[SegmentSignal]:
    """Return each segment's part of the budget by the baseline.

    Parameters
    ----------
    total_minor
        The budget.
    customers
        Per segment: how many customers, and the sum of their CLV in minor units; a missing segment has none.
    margin
        Contribution margin, 0-1.
    """
    amounts = split_exactly(total_minor, BASELINE_SHARES)
    signals = []
    for segment in SEGMENTS:
        count, total_clv = customers.get(segment, (0, 0))
        mean = int(Fraction(total_clv, count) + Fraction(1, 2)) if count else 0
        signals.append(
            SegmentSignal(
                segment=segment,
                customers=count,
                total_clv_minor=total_clv,
                mean_clv_minor=mean,
                share=float(BASELINE_SHARES[segment]),
                amount_minor=amounts[segment],
                baseline_amount_minor=amounts[segment],
                cac_target_minor=cac_target_minor(mean, margin),
                strategy=STRATEGIES[segment],
            )
        )
    return signals


def has_moved(before: list[SegmentSignal], after: list[SegmentSignal]) -> bool:
    """Tell whether a new proposal says something new: an amount differs, the mix moved by 1 %, a CAC target by 2 %."""
    if [s.amount_minor for s in before] != [s.amount_minor for s in after]:
        return True
    total_before, total_after = sum(s.customers for s in before), sum(s.customers for s in after)
    for old, new in zip(before, after, strict=True):
        mix = abs(old.customers / max(total_before, 1) - new.customers / max(total_after, 1))
        target = abs(old.cac_target_minor - new.cac_target_minor)
        if mix >= 0.01 or target > 0.02 * max(old.cac_target_minor, 1):
            return True
    return False
