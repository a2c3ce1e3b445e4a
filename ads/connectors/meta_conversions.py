"""Meta's Conversions API: first purchases with their predicted value.

Source: Meta Conversions API v26; predicted LTV. An event that is not valid spoils its whole request, so a refused
request is halved until the event is found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ads.connector import Delivery, Refused
from clv.money import to_major

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ads.connectors.meta_client import MetaClient
    from ads.conversions import Conversion

EVENT_NAME = "Purchase"
_INVALID_CODE = "Meta 100"


class MetaConversions:
    """Sends conversions to the dataset ``pixel_id`` of the client's configuration."""

    most_conversions = 1_000
    """Of one request; said by secondary sources."""

    def __init__(self, client: MetaClient, *, currency: str) -> None:
        self._client = client
        self._currency = currency

    def send(self, conversions: Sequence[Conversion]) -> Delivery:
        """Send at most ``most_conversions``; a refused one does not take the others with it."""
        return Delivery(tuple(self._sent(conversions, 0)))

    def _sent(self, conversions: Sequence[Conversion], first: int) -> list[tuple[int, str]]:
        """Send, and return the positions, counted from ``first``, of those that are refused, and why."""
        body = {"data": [self._event(each) for each in conversions]}
        try:
            # Repeated events are dropped by their id.
            self._client.post(f"{self._client.config.pixel_id}/events", body)
        except Refused as problem:
            if not str(problem).startswith(_INVALID_CODE):
                raise
            if len(conversions) == 1:
                return [(first, str(problem))]
            middle = len(conversions) // 2
            return [*self._sent(conversions[:middle], first), *self._sent(conversions[middle:], first + middle)]
        return []

    def _event(self, conversion: Conversion) -> dict[str, Any]:
        email, phone = conversion.identifiers
        digits = self._client.config.digits
        people = {"em": [email] if email else [], "ph": [phone] if phone else []}
        return {
            "event_name": EVENT_NAME,
            "event_id": conversion.event_id,
            "event_time": conversion.occurred_ms // 1_000,
            "action_source": "website",
            "user_data": {name: hashes for name, hashes in people.items() if hashes},
            "custom_data": {
                "currency": self._currency,
                "value": float(to_major(conversion.value_minor, digits)),
                "predicted_ltv": float(to_major(conversion.predicted_minor, digits)),
            },
        }
