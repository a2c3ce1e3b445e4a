"""The feature vector of a customer at a moment: names, order, digest.

Counts and days are plain, money is in minor units; models do their own logs and scaling. A missing value is 0 with
an indicator beside it where 0 could mean something else. ``clv.rfm`` computes the values.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

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
    "recent_purchases_30d",  # purchase days, each counting half after every 30 days that passed since
    "recent_purchases_60d",
    "recent_purchases_120d",
    "category_count",
    "email_sent_count",
    "email_open_rate",
    "email_click_rate",
    "acquisition_cost_minor",
    "has_acquisition",
    "source_code",  # stands for the acquisition source, see ``code_of``; models replace codes by what they learnt
    "campaign_code",
    "category_code",  # of the earliest category seen
)
CODE_NAMES = ("source_code", "campaign_code", "category_code")
"""Features whose size means nothing: names as numbers."""
RECENT_HALF_LIVES_DAYS = (30, 60, 120)
FEATURE_INDEX = {name: position for position, name in enumerate(FEATURE_NAMES)}
FEATURE_DIGEST = hashlib.sha256("\n".join(FEATURE_NAMES).encode()).hexdigest()[:16]
"""Changes whenever a name or the order does: a model and a worker that disagree refuse each other."""

CODES = 2**24
"""Codes lie below it: float32 holds them exactly."""


@lru_cache(maxsize=4096)
def code_of(text: str) -> int:
    """Return the number that stands for a name in a feature row: 0 for none, else 1 to ``CODES`` − 1.

    Two of a thousand names share a code with a chance of 3 %; they are then one name to the models.

    Examples
    --------
    >>> code_of(""), code_of("google") == code_of("google")
    (0, True)
    """
    if not text:
        return 0
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little") % (CODES - 1) + 1
