"""Features of a customer of whom only a summary is known, so that the models of the stream can score it.

The history that a summary leaves out is made up in the most regular way: equal orders at equal distances. What that
costs against the true history is in docs/aggregated.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from clv.features import code_of
from clv.rules import DAY_MS
from clv.totals import Attributes, Totals, extract

if TYPE_CHECKING:
    from clv.summary import CustomerSummary

MOST_MADE_UP = 1_000
"""Orders that are laid out one by one; more of them are put into as many."""
_MADE_UP_EMAILS = 20


def features_of(summary: CustomerSummary, as_of_ms: int) -> tuple[float, ...]:
    """Return the feature row of ``clv.features.FEATURE_NAMES`` of a summary seen from a moment.

    Parameters
    ----------
    as_of_ms
        Epoch milliseconds; days of the summary count back from it.
    """
    totals = Totals()
    count = min(summary.order_count, MOST_MADE_UP)
    first_ms = as_of_ms - round(summary.first_purchase_days * DAY_MS)
    span_ms = round((summary.first_purchase_days - summary.last_purchase_days) * DAY_MS)
    for number in range(count):
        at_ms = first_ms + (span_ms * number // (count - 1) if number else 0)
        # Shares of whole minor units that add up to the total.
        amount = summary.spent_minor * (number + 1) // count - summary.spent_minor * number // count
        totals.fold_order(at_ms, amount)
    totals.order_count = summary.order_count
    totals.refunded_minor = round(max(summary.return_rate, 0.0) * summary.spent_minor)
    if summary.engagement_rate >= 0:
        totals.email_sent_count = _MADE_UP_EMAILS
        totals.email_opened_count = round(_MADE_UP_EMAILS * summary.engagement_rate)
    attributes = Attributes(
        category_count=max(summary.category_count, 0),
        acquisition_cost_minor=summary.acquisition_cost_minor,
        source_code=code_of(summary.acquisition_source),
        campaign_code=code_of(summary.campaign_type),
    )
    return extract(totals, as_of_ms, attributes)
