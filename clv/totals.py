"""Running totals of a customer, folded over events in event-time order, and the feature vector they give."""

from __future__ import annotations

import math
from copy import copy
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from clv.features import RECENT_HALF_LIVES_DAYS
from clv.ledger import CLICKED, OPENED, ORDER, REFUND, SENT
from clv.rules import DAY_MS

if TYPE_CHECKING:
    from clv.ledger import Entry


_HALF_LIVES = tuple(float(days) for days in RECENT_HALF_LIVES_DAYS)
_ONE_PURCHASE = (1.0,) * len(_HALF_LIVES)
_NO_PURCHASE = [0.0] * len(_HALF_LIVES)


class Attributes(NamedTuple):
    """What is known of a customer at a moment beside its totals; codes are 0 and the cost −1 where nothing is known."""

    category_count: int = 0
    acquisition_cost_minor: int = -1
    source_code: int = 0
    campaign_code: int = 0
    category_code: int = 0


class Totals(msgspec.Struct, array_like=True, gc=False):
    """Sums and extremes; money in minor units, ``_day`` is days since 1970-01-01 UTC.

    A purchase day is a UTC day with an order of positive value: the unit of repetition in BTYD.
    ``closed_square_sum`` is the sum of squared purchase-day values but for the last day, which may still grow.
    ``recent`` are purchase days counted as of the last one, each counting half after every half-life of
    ``RECENT_HALF_LIVES_DAYS``.
    """

    order_count: int = 0
    revenue_minor: int = 0
    refunded_minor: int = 0
    first_order_ms: int = -1
    last_order_ms: int = -1
    purchase_day_count: int = 0
    first_purchase_day: int = -1
    last_purchase_day: int = -1
    first_day_minor: int = 0
    last_day_minor: int = 0
    closed_square_sum: float = 0.0
    gap_square_sum: int = 0
    email_sent_count: int = 0
    email_opened_count: int = 0
    email_clicked_count: int = 0
    recent: tuple[float, ...] = ()

    def copy(self) -> Totals:
        """Return an independent copy."""
        return copy(self)

    def fold(self, entry: Entry, refunded_minor: int) -> None:
        """Add the next entry in event time, with what it refunds (``ledger.Effect``)."""
        self.refunded_minor += refunded_minor
        if entry.kind == ORDER:
            self.fold_order(entry.at_ms, entry.amount_minor)
        elif entry.kind != REFUND:
            self.fold_email(entry.kind)

    def fold_order(self, at_ms: int, amount_minor: int) -> None:
        """Add an order no earlier than any before it."""
        self.order_count += 1
        self.revenue_minor += amount_minor
        if self.first_order_ms < 0:
            self.first_order_ms = at_ms
        self.last_order_ms = at_ms
        if amount_minor == 0:
            return
        day = at_ms // DAY_MS
        if day == self.last_purchase_day:
            self.last_day_minor += amount_minor
        else:
            if self.purchase_day_count:
                self.closed_square_sum += float(self.last_day_minor) ** 2
                self.gap_square_sum += (day - self.last_purchase_day) ** 2
                self.recent = tuple([1.0 + count for count in self.recent_as_of(day)])
            else:
                self.first_purchase_day = day
                self.recent = _ONE_PURCHASE
            self.purchase_day_count += 1
            self.last_purchase_day = day
            self.last_day_minor = amount_minor
        if day == self.first_purchase_day:
            self.first_day_minor = self.last_day_minor

    def recent_as_of(self, day: int) -> list[float]:
        """Return ``recent`` as of a day no earlier than the last purchase day; empty without a purchase."""
        shares = _shares_left(day - self.last_purchase_day)
        return [count * share for count, share in zip(self.recent, shares, strict=False)]

    def fold_email(self, kind: int) -> None:
        """Count an e-mail event."""
        if kind == SENT:
            self.email_sent_count += 1
        elif kind == OPENED:
            self.email_opened_count += 1
        elif kind == CLICKED:
            self.email_clicked_count += 1


@lru_cache(maxsize=4096)
def _shares_left(passed_days: int) -> tuple[float, ...]:
    """Return what so many days leave of a purchase day, by half-life."""
    return tuple(2.0 ** (-passed_days / days) for days in _HALF_LIVES)


def extract(totals: Totals, as_of_ms: int, attributes: Attributes) -> tuple[float, ...]:
    """Return the feature vector of ``clv.features.FEATURE_NAMES``.

    Parameters
    ----------
    totals
        Folded over the customer's events at or before ``as_of_ms``; holds at least one order.
    as_of_ms
        The moment, epoch milliseconds.
    attributes
        As known by then.

    Returns
    -------
    tuple of float
        One finite value a feature, in order.
    """
    days = totals.purchase_day_count
    today = as_of_ms // DAY_MS
    start = totals.first_purchase_day if days else totals.first_order_ms // DAY_MS
    repeats = days - 1 if days else 0
    span = totals.last_purchase_day - totals.first_purchase_day
    mean_gap = span / repeats if repeats else 0.0
    mean_value = totals.revenue_minor / days if days else 0.0
    sent = totals.email_sent_count
    return (
        float(totals.order_count),
        float(repeats),
        float(span),
        float(max(today - start, 0)),
        max(as_of_ms - totals.last_order_ms, 0) / DAY_MS,
        mean_value,
        (totals.revenue_minor - totals.first_day_minor) / repeats if repeats else 0.0,
        float(totals.first_day_minor),
        float(totals.last_day_minor),
        float(totals.revenue_minor),
        min(max(totals.refunded_minor / totals.revenue_minor, 0.0), 1.0) if totals.revenue_minor else 0.0,
        mean_gap,
        _variation(totals.gap_square_sum, span, repeats) if repeats > 1 else 0.0,
        max(today - totals.last_purchase_day, 0) / mean_gap if repeats else 0.0,
        _variation(totals.closed_square_sum + float(totals.last_day_minor) ** 2, totals.revenue_minor, days)
        if days > 1
        else 0.0,
        *(totals.recent_as_of(max(today, totals.last_purchase_day)) if days else _NO_PURCHASE),
        float(attributes.category_count),
        float(sent),
        min(totals.email_opened_count / sent, 1.0) if sent else 0.0,
        min(totals.email_clicked_count / sent, 1.0) if sent else 0.0,
        float(max(attributes.acquisition_cost_minor, 0)),
        1.0 if attributes.acquisition_cost_minor >= 0 else 0.0,
        float(attributes.source_code),
        float(attributes.campaign_code),
        float(attributes.category_code),
    )


def _variation(square_sum: float, total: float, count: int) -> float:
    """Return the coefficient of variation (population standard deviation over mean) from sums."""
    mean = total / count
    if mean <= 0:
        return 0.0
    return math.sqrt(max(square_sum / count - mean * mean, 0.0)) / mean
