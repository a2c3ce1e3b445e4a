"""Telling a platform what first purchases are predicted to bring, while it still listens.

Each is told once: the platform drops an event id that it has had. What came too late to be heard is noted so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec
import structlog

from ads.connector import AudienceError
from storage.conversions import settle_conversions, waiting_conversions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ads.connector import Delivery
    from ads.people import People
    from storage.engine import Database

log = structlog.get_logger(__name__)
WINDOW_MS = 7 * 86_400_000
"""How old an event may be, by Meta's rule; an older one spoils its whole request."""
_MARGIN_MS = 600_000
"""What an event may lack of that age when it is sent: calls take time, and clocks differ."""


class Conversion(msgspec.Struct, frozen=True):
    """A first purchase: hashes of the person, what it was worth and what is predicted, in minor units.

    ``event_id`` is the same however often it is sent; ``occurred_ms`` epoch milliseconds.
    """

    event_id: str
    occurred_ms: int
    identifiers: tuple[str, ...]
    value_minor: int
    predicted_minor: int


class ConversionSender(Protocol):
    """A platform that hears of conversions.

    ``send_conversions`` calls it from one thread; errors are those of an ``AudienceConnector``.
    """

    most_conversions: int

    def send(self, conversions: Sequence[Conversion]) -> Delivery:
        """Send at most ``most_conversions``; one that is refused does not take the others with it."""
        ...


def send_conversions(database: Database, sender: ConversionSender, people: People, *, now_ms: int) -> int:
    """Send what waits; return how many the platform took. A failure leaves the rest waiting, and is logged.

    Raises
    ------
    InputError
        When the identities cannot be read.
    StoreUnavailable
        When a retry may help.
    """
    sent = 0
    while rows := waiting_conversions(database, limit=sender.most_conversions):
        known = people.find([row["customer_id"] for row in rows], {})
        ready: list[Conversion] = []
        settled: list[tuple[str, str, str]] = []
        for row in rows:
            person = known[row["customer_id"]]
            if row["occurred_ms"] < now_ms - WINDOW_MS + _MARGIN_MS:
                settled.append((row["event_id"], "too_late", "older than seven days"))
            elif person.is_barred or person.problem or not person.identifiers:
                why = "opted out or erased" if person.is_barred else person.problem or "no identity is known"
                settled.append((row["event_id"], "refused", why))
            else:
                figures = (row["value_minor"], row["predicted_minor"])
                ready.append(Conversion(row["event_id"], row["occurred_ms"], person.identifiers, *figures))
        try:
            refused = dict(sender.send(ready).rejected) if ready else {}
        except AudienceError as problem:
            settle_conversions(database, settled, at_ms=now_ms)
            log.warning("conversions wait", problem=str(problem))
            return sent
        for position, each in enumerate(ready):
            why = refused.get(position, "")
            settled.append((each.event_id, "refused" if why else "sent", why))
        settle_conversions(database, settled, at_ms=now_ms)
        sent += len(ready) - len(refused)
    return sent
