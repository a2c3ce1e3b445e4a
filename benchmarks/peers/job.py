"""What every peer does with an order, and where it finds its broker."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import msgspec

OUTPUT_TOPIC = "peer.totals"
_decode = msgspec.json.Decoder(dict[str, Any]).decode
_encode = msgspec.json.Encoder().encode


class Place(NamedTuple):
    """Bootstrap servers, topic of orders and consumer group, from the environment."""

    broker: str
    topic: str
    group: str

    @classmethod
    def from_env(cls) -> Place:
        """Read ``PEER_BROKER``, ``PEER_TOPIC`` and ``PEER_GROUP``."""
        return cls(os.environ["PEER_BROKER"], os.environ["PEER_TOPIC"], os.environ["PEER_GROUP"])


def add(held: dict[str, Any] | None, order: dict[str, Any]) -> dict[str, Any]:
    """Return a customer's totals with one more order."""
    at, amount = order["occurred_at"], float(order["total"])
    if held is None:
        return {"count": 1, "sum": amount, "first": at, "last": at}
    return {
        "count": held["count"] + 1,
        "sum": held["sum"] + amount,
        "first": held["first"],
        "last": max(held["last"], at),
    }


def read(value: bytes) -> dict[str, Any]:
    """Decode an order."""
    return _decode(value)


def written(value: dict[str, Any]) -> bytes:
    """Encode totals, or what is given out."""
    return _encode(value)


def given_out(order: dict[str, Any], totals: dict[str, Any]) -> bytes:
    """Encode what a peer gives out for an order."""
    return _encode({"customer_id": order["customer_id"], "event_id": order["event_id"], **totals})
