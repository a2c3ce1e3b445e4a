"""Rows of the store as answers: the one place where columns get the API's names and units."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from api.schemas.customers import Customer, ScorePoint, SegmentChange
from api.schemas.overview import SegmentFigures
from clv.budget import cac_target_minor
from clv.outcomes import SEGMENTS, rfc3339

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from api.context import Context
    from storage.sums import Total


def customer_view(context: Context, row: Mapping[str, Any]) -> Customer:
    """Return a customer's row as the API shows it."""
    major = context.currency.major
    return Customer.model_construct(
        customer_id=row["customer_id"],
        segment=row["segment"],
        clv=major(row["clv_minor"]),
        clv_lower=major(row["clv_lower_minor"]),
        clv_upper=major(row["clv_upper_minor"]),
        clv_year=major(row["clv_year_minor"]),
        horizon_days=row["horizon_days"],
        currency=row["currency"],
        confidence=row["confidence"],
        recommended_cac=major(cac_target_minor(row["clv_minor"], context.settings.margin)),
        churn_probability=row["churn_probability"],
        expected_next_order_at=moment(row["expected_next_order_ms"]),
        order_count=row["order_count"],
        revenue=major(row["revenue_minor"]),
        refunded=major(row["refunded_minor"]),
        first_order_at=rfc3339(row["first_order_ms"]),
        last_order_at=rfc3339(row["last_order_ms"]),
        acquisition_source=row["acquisition_source"],
        campaign_type=row["campaign_type"],
        as_of=rfc3339(row["as_of_ms"]),
        reason=row["reason"],
        model_versions={
            name: version for name, version in msgspec.json.decode(row["model_versions"]).items() if version
        },
    )


def score_view(context: Context, row: Mapping[str, Any]) -> ScorePoint:
    """Return a score of the history as the API shows it."""
    major = context.currency.major
    return ScorePoint(
        as_of=rfc3339(row["as_of_ms"]),
        clv=major(row["clv_minor"]),
        clv_lower=major(row["clv_lower_minor"]),
        clv_upper=major(row["clv_upper_minor"]),
        segment=row["segment"],
        churn_probability=row["churn_probability"],
        reason=row["reason"],
        order_count=row["order_count"],
        revenue=major(row["revenue_minor"]),
    )


def change_view(context: Context, row: Mapping[str, Any]) -> SegmentChange:
    """Return a segment change as the API shows it."""
    major = context.currency.major
    before = row["clv_before_minor"]
    return SegmentChange(
        event_id=row["event_id"],
        customer_id=row["customer_id"],
        as_of=rfc3339(row["as_of_ms"]),
        from_segment=row["from_segment"],
        to_segment=row["to_segment"],
        reason=row["reason"],
        clv_before=major(before) if before >= 0 else None,
        clv_after=major(row["clv_after_minor"]),
        currency=row["currency"],
    )


def segment_views(context: Context, totals: Sequence[Total]) -> list[SegmentFigures]:
    """Return the three segments, the empty ones too, from the store's sums."""
    major, margin = context.currency.major, context.settings.margin
    known = {total.segment: total for total in totals}
    customers = sum(total.customers for total in totals if total.segment)
    clv_minor = sum(total.clv_minor for total in totals if total.segment)
    found = []
    for segment in SEGMENTS:
        total = known.get(segment)
        count, own = (total.customers, total.clv_minor) if total else (0, 0)
        mean_minor = mean(own, count)
        found.append(
            SegmentFigures(
                segment=segment,
                customers=count,
                share=share(count, customers),
                total_clv=major(own),
                mean_clv=major(mean_minor),
                value_share=share(own, clv_minor),
                cac_target=major(cac_target_minor(mean_minor, margin)),
                revenue=major(total.revenue_minor if total else 0),
                orders=total.orders if total else 0,
            )
        )
    return found


def mean(total_minor: int, count: int) -> int:
    """Return a mean in whole minor units, rounded half up; 0 of nothing.

    Examples
    --------
    >>> mean(5, 2), mean(7, 0)
    (3, 0)
    """
    return (2 * total_minor + count) // (2 * count) if count else 0


def share(part: int, whole: int) -> float:
    """Return a part of a whole in 0 to 1, 0 of nothing."""
    return round(min(max(part / whole, 0.0), 1.0), 6) if whole > 0 else 0.0


def moment(at_ms: int) -> str | None:
    """Return a moment as RFC 3339, None where it is unknown."""
    return rfc3339(at_ms) or None
