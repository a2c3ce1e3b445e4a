"""The feature vector of a customer at a moment: names, order, digest.

Counts and days are plain, money is in minor units; models do their own logs and scaling. A missing value is 0 with
an indicator beside it where 0 could mean something else. ``clv.rfm`` computes the values.
"""

from __future__ import annotations

import hashlib

FEATURE_NAMES = (
    "order_count",
    "repeat_purchase_count",  # BTYD x: UTC days with a purchase of positive value, less one
    "last_purchase_age_days",  # BTYD t_x: first to last purchase day
    "customer_age_days",  # BTYD T: first purchase day to as_of
    "days_since_last_order",
    "mean_purchase_value_minor",  # per purchase day, the first included
    "mean_repeat_value_minor",  # per purchase day, the first excluded; 0 without a repeat
    "first_purchase_value_minor",
    "last_purchase_value_minor",
    "revenue_minor",
    "return_rate",  # refunded over revenue, 0-1
    "mean_gap_days",  # between purchase days; 0 without a repeat
    "gap_cv",  # standard deviation of the gaps over their mean; 0 below two gaps
    "recency_ratio",  # days since the last purchase over the mean gap; 0 without a repeat
    "value_cv",  # standard deviation of purchase-day values over their mean; 0 below two
    "category_count",
    "email_sent_count",
    "email_open_rate",
    "email_click_rate",
    "acquisition_cost_minor",
    "has_acquisition",
)
FEATURE_INDEX = {name: position for position, name in enumerate(FEATURE_NAMES)}
FEATURE_DIGEST = hashlib.sha256("\n".join(FEATURE_NAMES).encode()).hexdigest()[:16]
"""Changes whenever a name or the order does: a model and a worker that disagree refuse each other."""
