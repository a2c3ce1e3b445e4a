"""Summaries of customers as arrays: from rows that were given, and from the features of customers with a history."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from clv.features import FEATURE_INDEX
from clv.summary import UNKNOWN
from models import btyd

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clv.ports import Floats
    from clv.summary import CustomerSummary
    from models.btyd import Histories


class Summaries(NamedTuple):
    """Summaries of n customers as arrays of shape (n,); NaN where a figure is not known, days before the stated day."""

    order_count: Floats
    spent_minor: Floats
    first_days: Floats
    last_days: Floats
    category_count: Floats
    cost_minor: Floats
    engagement_rate: Floats
    return_rate: Floats
    source: Sequence[str]
    campaign_type: Sequence[str]


def summaries_of(rows: Sequence[CustomerSummary]) -> Summaries:
    """Turn checked summaries into arrays, in their order."""

    def column(values: Sequence[float]) -> Floats:
        numbers = np.array(values, dtype=np.float64)
        return np.where(numbers == UNKNOWN, np.nan, numbers)

    return Summaries(
        order_count=column([row.order_count for row in rows]),
        spent_minor=column([row.spent_minor for row in rows]),
        first_days=column([row.first_purchase_days for row in rows]),
        last_days=column([row.last_purchase_days for row in rows]),
        category_count=column([row.category_count for row in rows]),
        cost_minor=column([row.acquisition_cost_minor for row in rows]),
        engagement_rate=column([row.engagement_rate for row in rows]),
        return_rate=column([row.return_rate for row in rows]),
        source=[row.acquisition_source for row in rows],
        campaign_type=[row.campaign_type for row in rows],
    )


def summaries_of_features(features: Floats, sources: Sequence[str], campaign_types: Sequence[str]) -> Summaries:
    """Reduce feature rows (n, len(FEATURE_NAMES)) to what a summary of the same customers would have said."""

    def column(name: str) -> Floats:
        values = np.ascontiguousarray(features[:, FEATURE_INDEX[name]], dtype=np.float64)
        return np.clip(values, 0.0, btyd.MAX_PREDICTION_MINOR)

    age = column("customer_age_days")
    categories = column("category_count")
    return Summaries(
        order_count=np.maximum(column("order_count"), 1.0),
        spent_minor=column("revenue_minor"),
        first_days=age,
        last_days=np.maximum(age - column("last_purchase_age_days"), 0.0),
        category_count=np.where(categories > 0, categories, np.nan),
        cost_minor=np.where(column("has_acquisition") > 0, column("acquisition_cost_minor"), np.nan),
        engagement_rate=np.where(column("email_sent_count") > 0, column("email_open_rate"), np.nan),
        return_rate=column("return_rate"),
        source=sources,
        campaign_type=campaign_types,
    )


def histories_of(summaries: Summaries) -> Histories:
    """Return purchase histories as far as a summary tells them.

    BTYD counts purchase *days*, and there cannot be more of them than days between first and last purchase: orders
    beyond that were on the same day. The mean value of repeats is not known; the mean of all purchases stands for it.
    """
    span = np.maximum(summaries.first_days - summaries.last_days, 0.0)
    x = np.minimum(np.clip(summaries.order_count - 1.0, 0.0, btyd.MAX_REPEATS), np.ceil(span))
    mean = summaries.spent_minor / (x + 1.0)
    return btyd.histories_from_days(x, span, summaries.first_days, mean_minor=mean, mean_repeat_minor=mean)
