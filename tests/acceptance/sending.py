"""Records made by hand, onto the orders topic."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, NamedTuple

from aiokafka import AIOKafkaProducer

from clv.topics import ORDERS
from streams.clients import aiokafka_settings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from clv.settings import Settings


class Sent(NamedTuple):
    """A record to send; without a partition its key decides."""

    key: bytes | None
    value: bytes | None
    partition: int | None = None


def order(customer_id: str, number: int, at: str, /, **changes: object) -> Sent:
    """Return an order of 10.00 USD as the contract has it, but for ``changes``; its ids follow from its number."""
    event = {
        "type": "OrderPlaced",
        "event_id": f"{customer_id}-e{number}",
        "customer_id": customer_id,
        "occurred_at": at,
        "schema_version": 1,
        "order_id": f"{customer_id}-o{number}",
        "total": "10.00",
        "currency": "USD",
    }
    return Sent(customer_id.encode(), json.dumps(event | changes).encode())


def ticks(settings: Settings, as_of: str) -> list[Sent]:
    """Return a Tick for every partition."""
    return [
        Sent(
            None, json.dumps({"type": "Tick", "event_id": as_of, "as_of": as_of, "schema_version": 1}).encode(), number
        )
        for number in range(settings.partitions)
    ]


def send(settings: Settings, records: Iterable[Sent]) -> list[tuple[int, int]]:
    """Send records in this order; return the partition and offset of each once all are acknowledged."""
    return asyncio.run(_send(settings, records))


async def _send(settings: Settings, records: Iterable[Sent]) -> list[tuple[int, int]]:
    async with AIOKafkaProducer(acks="all", max_request_size=4_194_304, **aiokafka_settings(settings)) as producer:
        futures = [await producer.send(ORDERS, r.value, r.key, r.partition) for r in records]
        places = [await future for future in futures]
    return [(place.partition, place.offset) for place in places]
