"""A made-up shop: customers who come, buy, return goods, read mails and leave, the same for the same seed.

The effects that they show are in ``producers.effects``; what goes wrong on the way (late, twice, out of order) is in
``producers.disorder``.
"""

from __future__ import annotations

import heapq
import math
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from clv.events import EmailEngaged, OrderPlaced, OrderRefunded
from clv.outcomes import event_id
from clv.settings import DAY_MS, HOUR_MS
from producers.effects import CAMPAIGN_EFFECTS, PEAK_SEASON, SOURCE_EFFECTS, Effect, engagement_effect, season

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clv.events import CustomerEvent

CATEGORIES = ("books", "clothing", "electronics", "garden", "grocery", "home", "music", "toys")
_MEAN_GAP_DAYS = 45.0
_MEAN_VALUE = 40.0
_VALUE_SIGMA = 0.7
_MAIL_DAYS = 30
_MAIL_DAYS_AFTER_LEAVING = 180


@dataclass(frozen=True, slots=True, kw_only=True)
class Shop:
    """What to generate.

    Purchases follow BG/NBD (Fader, Hardie and Lee 2005): a Gamma-distributed rate of orders while active, and after
    each order a Beta-distributed chance to leave for good. Values are log-normal between customers and Gamma within.

    Parameters
    ----------
    start_ms, days
        The period; customers arrive evenly over its first nine tenths.
    refund_rate
        Share of orders that is refunded, half of them in full; one refund in 30 bears a time before its order's.
    has_mail
        Whether mails are sent, opened and clicked.
    digits
        Decimals of the currency.

    Examples
    --------
    >>> shop = Shop(seed=1, customers=10, start_ms=0, days=90)
    >>> [event.occurred_ms for event in shop] == sorted(event.occurred_ms for event in shop)
    True
    """

    seed: int
    customers: int
    start_ms: int
    days: int
    refund_rate: float = 0.06
    has_mail: bool = True
    digits: int = 2

    @property
    def key(self) -> str:
        """Identifies what is generated."""
        return event_id("shop", repr(self))

    @property
    def first_ms(self) -> int:
        """Where the period begins."""
        return self.start_ms

    @property
    def last_ms(self) -> int:
        """Where the period ends; no event is later."""
        return self.start_ms + self.days * DAY_MS - 1

    def __iter__(self) -> Iterator[CustomerEvent]:
        """Give all events in event-time order; holds the coming events of customers who have arrived, 1 kB each."""
        pending: list[tuple[int, str, CustomerEvent]] = []
        for history in self.histories():
            arrived_ms = history[0].occurred_ms - 2 * HOUR_MS  # a skewed refund may be up to an hour before its order
            while pending and pending[0][0] < arrived_ms:
                yield heapq.heappop(pending)[2]
            for event in history:
                heapq.heappush(pending, (event.occurred_ms, event.event_id, event))
        while pending:
            yield heapq.heappop(pending)[2]

    def histories(self) -> Iterator[list[CustomerEvent]]:
        """Give each customer's events, the first order first; customers by their arrival."""
        arrivals = random.Random(f"{self.seed}/arrivals")  # noqa: S311  # simulation
        left = 1.0
        for index in range(self.customers):
            # The next of n sorted uniform numbers, without holding the others.
            left *= arrivals.random() ** (1 / (self.customers - index))
            arrived_ms = self.start_ms + round((1 - left) * 0.9 * self.days * DAY_MS)
            yield _Customer(self, index).history(arrived_ms)


class _Customer:
    """One customer's nature, drawn once."""

    def __init__(self, shop: Shop, index: int) -> None:
        self._shop = shop
        self._random = random.Random(f"{shop.seed}/{index}")  # noqa: S311  # simulation
        self._id = f"c{index:07d}"
        self._source = self._draw(SOURCE_EFFECTS)
        self._campaign = self._draw(CAMPAIGN_EFFECTS)
        source, campaign = SOURCE_EFFECTS[self._source], CAMPAIGN_EFFECTS[self._campaign]
        self._open_probability = self._random.betavariate(2, 3)
        nature = self._random.gammavariate(1.2, 1 / 1.2)
        engagement = engagement_effect(self._open_probability) if shop.has_mail else 1.0
        self._daily_rate = max(1e-4, nature / _MEAN_GAP_DAYS * source.rate * campaign.rate * engagement)
        centre = math.log(_MEAN_VALUE) - _VALUE_SIGMA**2 / 2
        self._mean_value = self._random.lognormvariate(centre, _VALUE_SIGMA) * source.value * campaign.value
        self._leaving = self._random.betavariate(1.2, 6)
        self._cost = source.mean_cost * self._random.lognormvariate(-0.125, 0.5)

    def history(self, arrived_ms: int) -> list[CustomerEvent]:
        events: list[CustomerEvent] = []
        at_ms = arrived_ms
        while at_ms <= self._shop.last_ms:
            order = self._order(at_ms, len(events))
            events.append(order)
            if self._random.random() < self._leaving:
                break
            at_ms = self._next_order_ms(at_ms)
        last_order_ms = events[-1].occurred_ms
        refunds = [refund for order in events if (refund := self._refund(order)) is not None]
        return events + refunds + (self._mails(arrived_ms, last_order_ms) if self._shop.has_mail else [])

    def _draw(self, effects: dict[str, Effect]) -> str:
        return self._random.choices(list(effects), [effect.share for effect in effects.values()])[0]

    def _minor(self, amount: float) -> int:
        return round(amount * int(10**self._shop.digits))

    def _next_order_ms(self, at_ms: int) -> int:
        """Draw from the seasonal rate by thinning (Lewis and Shedler 1979)."""
        while at_ms <= self._shop.last_ms:
            at_ms += 1 + round(self._random.expovariate(self._daily_rate * PEAK_SEASON) * DAY_MS)
            if self._random.random() * PEAK_SEASON < season(at_ms):
                break
        return at_ms

    def _order(self, at_ms: int, number: int) -> OrderPlaced:
        order_id = f"{self._id}-{number + 1}"
        return OrderPlaced(
            event_id("order", self._id, order_id),
            self._id,
            at_ms,
            order_id,
            max(1, self._minor(self._mean_value * self._random.gammavariate(4, 0.25))),
            tuple(self._random.sample(CATEGORIES, self._random.choice((1, 1, 1, 2, 3)))),
            self._source,
            self._campaign,
            self._minor(self._cost),
        )

    def _refund(self, order: CustomerEvent) -> OrderRefunded | None:
        if not isinstance(order, OrderPlaced) or self._random.random() >= self._shop.refund_rate:
            return None
        share = 1.0 if self._random.random() < 0.5 else self._random.uniform(0.1, 0.9)
        delay_ms = round(self._random.expovariate(1 / 10) * DAY_MS)
        if self._random.random() < 1 / 30:
            delay_ms = -round(self._random.uniform(0.1, 1.0) * HOUR_MS)
        at_ms = max(self._shop.start_ms, order.occurred_ms + delay_ms)
        if at_ms > self._shop.last_ms:
            return None
        refund_id = f"{order.order_id}-r"
        amount_minor = max(1, round(order.total_minor * share))
        return OrderRefunded(
            event_id("refund", self._id, refund_id), self._id, at_ms, refund_id, amount_minor, order.order_id
        )

    def _mails(self, arrived_ms: int, last_order_ms: int) -> list[CustomerEvent]:
        until_ms = min(self._shop.last_ms, last_order_ms + _MAIL_DAYS_AFTER_LEAVING * DAY_MS)
        mails: list[CustomerEvent] = []
        for number, at_ms in enumerate(range(arrived_ms + 3 * DAY_MS, until_ms, _MAIL_DAYS * DAY_MS), start=1):
            mails.append(self._mail(at_ms, number, "sent"))
            if self._random.random() < self._open_probability:
                at_ms += round(self._random.uniform(0.1, 24) * HOUR_MS)  # noqa: PLW2901  # the mail's time moves on
                mails.append(self._mail(at_ms, number, "opened"))
                if self._random.random() < 0.25:
                    mails.append(self._mail(at_ms + 60_000, number, "clicked"))
        return [mail for mail in mails if mail.occurred_ms <= self._shop.last_ms]

    def _mail(self, at_ms: int, number: int, action: Literal["sent", "opened", "clicked"]) -> EmailEngaged:
        campaign_id = f"newsletter-{number}"
        return EmailEngaged(event_id("mail", self._id, campaign_id, action), self._id, at_ms, campaign_id, action)
