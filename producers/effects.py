"""What the generator makes true of its customers: the effects that a model should find again.

Each is a factor; a customer's factors multiply. ``rate`` is on the orders per day while active, ``value`` on the mean
order value. Churn is the same for all.

=============  =====  ====  =====  =========
Source         share  rate  value  mean cost
=============  =====  ====  =====  =========
organic        .30    1.00  1.00    0
email          .15    1.30  1.00    2
search         .25    1.10  1.25   12
social         .20    0.80  0.80    9
affiliate      .10    0.70  0.90   15
=============  =====  ====  =====  =========

=============  =====  ====  =====
Campaign type  share  rate  value
=============  =====  ====  =====
brand          .40    1.00  1.00
discount       .35    1.15  0.75
retargeting    .25    1.25  1.05
=============  =====  ====  =====

E-mail engagement: a customer opens a mail with a probability drawn from Beta(2, 3), mean 0.4; the rate is multiplied
by exp(1.0 × (probability − 0.4)), that is from 0.67 for nobody-opens to 1.82 for always-opens.

Season, on the rate: 1 + 0.3 × cos of the year with its top on 16 December, times a factor for each weekday.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from clv.settings import DAY_MS


@dataclass(frozen=True, slots=True)
class Effect:
    """Share of customers who have it, and its factors; ``mean_cost`` in major units of the currency."""

    share: float
    rate: float
    value: float
    mean_cost: float = 0.0


SOURCE_EFFECTS = {
    "organic": Effect(0.30, 1.00, 1.00),
    "email": Effect(0.15, 1.30, 1.00, 2.0),
    "search": Effect(0.25, 1.10, 1.25, 12.0),
    "social": Effect(0.20, 0.80, 0.80, 9.0),
    "affiliate": Effect(0.10, 0.70, 0.90, 15.0),
}
CAMPAIGN_EFFECTS = {
    "brand": Effect(0.40, 1.00, 1.00),
    "discount": Effect(0.35, 1.15, 0.75),
    "retargeting": Effect(0.25, 1.25, 1.05),
}
MEAN_OPEN_PROBABILITY = 0.4
WEEKDAY_FACTORS = (1.05, 0.95, 0.9, 0.95, 1.1, 1.15, 0.9)
"""Monday to Sunday."""
PEAK_SEASON = 1.3 * max(WEEKDAY_FACTORS)
_TOP_DAY = 350  # 16 December, counted from 1 January


def engagement_effect(open_probability: float) -> float:
    """Return the factor on the order rate of somebody who opens mails with this probability.

    Examples
    --------
    >>> engagement_effect(0.4)
    1.0
    """
    return math.exp(open_probability - MEAN_OPEN_PROBABILITY)


def season(at_ms: int) -> float:
    """Return the factor on the order rate at a moment (epoch milliseconds, UTC); at most ``PEAK_SEASON``.

    Examples
    --------
    >>> season(1_481_846_400_000) > 1.2 > 0.9 > season(1_466_035_200_000)
    True
    """
    day = at_ms // DAY_MS
    yearly = 1 + 0.3 * math.cos(2 * math.pi * (day % 365.2425 - _TOP_DAY) / 365.2425)
    return yearly * WEEKDAY_FACTORS[(day + 3) % 7]  # 1970-01-01 was a Thursday
