"""Events as Kafka carries them: JSON bytes of the contract, keyed by the customer's id."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from clv.events import SCHEMA_VERSION, CustomerErased, EmailEngaged, OrderPlaced, OrderRefunded, RescoreAsked, Tick
from clv.money import to_major
from clv.outcomes import event_id, rfc3339

if TYPE_CHECKING:
    from clv.events import CustomerEvent, Event

_encoder = msgspec.json.Encoder()


def encode_event(event: Event, *, currency: str, digits: int) -> bytes:
    """Return the event's JSON in UTF-8; ``clv.events.decode_event`` reads it back as the same event.

    Parameters
    ----------
    currency, digits
        The currency that the event's amounts are in, and its number of decimals.

    Notes
    -----
    The contract cannot say that an acquisition's cost is unknown: where source or campaign is known and the cost is
    not, the cost is left out and read back as 0.

    Examples
    --------
    >>> encode_event(Tick("t1", 86_400_000), currency="USD", digits=2)
    b'{"type":"Tick","event_id":"t1","as_of":"1970-01-02T00:00:00Z","schema_version":1}'
    """
    return _encoder.encode(_wire(event, currency, digits))


def key_of(event: CustomerEvent | RescoreAsked) -> bytes:
    """Return the record key of a customer's event."""
    return event.customer_id.encode()


def tick_event(partition: int, as_of_ms: int) -> Tick:
    """Return the Tick that tells a partition how far time has come; the same moment gives the same event."""
    return Tick(event_id("tick", partition, as_of_ms), as_of_ms)


def _wire(event: Event, currency: str, digits: int) -> dict[str, object]:
    if isinstance(event, Tick):
        return {
            "type": "Tick",
            "event_id": event.event_id,
            "as_of": rfc3339(event.occurred_ms),
            "schema_version": SCHEMA_VERSION,
        }
    wire: dict[str, object] = {
        "type": type(event).__name__,
        "event_id": event.event_id,
        "schema_version": SCHEMA_VERSION,
        "customer_id": event.customer_id,
        "occurred_at": rfc3339(event.occurred_ms),
    }
    match event:
        case OrderPlaced():
            wire |= _order(event, currency, digits)
        case OrderRefunded():
            wire |= {"refund_id": event.refund_id, "amount": to_major(event.amount_minor, digits), "currency": currency}
            if event.order_id:
                wire["order_id"] = event.order_id
        case EmailEngaged():
            wire |= {"campaign_id": event.campaign_id, "action": event.action}
        case CustomerErased() | RescoreAsked():
            pass
    return wire


def _order(event: OrderPlaced, currency: str, digits: int) -> dict[str, object]:
    wire: dict[str, object] = {
        "order_id": event.order_id,
        "total": to_major(event.total_minor, digits),
        "currency": currency,
        "items": [{"category": category} for category in event.categories],
    }
    if event.source or event.campaign_type or event.acquisition_cost_minor >= 0:
        acquisition = {"source": event.source, "campaign_type": event.campaign_type}
        if event.acquisition_cost_minor >= 0:
            acquisition["cost"] = to_major(event.acquisition_cost_minor, digits)
        wire["acquisition"] = acquisition
    return wire
