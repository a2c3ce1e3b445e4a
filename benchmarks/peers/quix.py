"""Quix Streams: a stateful function over a RocksDB store with its changelog; in an environment of its own.

It pins other versions of what the product needs, so ``make peers`` installs it beside: ``benchmarks/peers/quix.lock``.
"""

from __future__ import annotations

import tempfile
from typing import Any

from benchmarks.peers.job import OUTPUT_TOPIC, Place, add, given_out, read


def run(place: Place) -> None:
    """Consume until the process is ended."""
    from quixstreams import Application  # type: ignore[import-not-found, unused-ignore]  # noqa: PLC0415  # not ours

    app = Application(
        broker_address=place.broker,
        consumer_group=place.group,
        auto_offset_reset="earliest",
        state_dir=tempfile.mkdtemp(),
        commit_interval=1.0,
        loglevel="ERROR",
        producer_extra_config={"linger.ms": 5, "acks": "all"},
        consumer_extra_config={"fetch.queue.backoff.ms": 50, "session.timeout.ms": 6_000},
    )
    orders = app.topic(place.topic, key_deserializer="bytes", value_deserializer="bytes")
    output = app.topic(OUTPUT_TOPIC, key_serializer="bytes", value_serializer="bytes")

    def take(value: bytes, state: Any) -> bytes:
        """Add up an order."""
        order = read(value)
        totals = add(state.get("totals"), order)
        state.set("totals", totals)
        return given_out(order, totals)

    app.run(app.dataframe(orders).apply(take, stateful=True).to_topic(output))


if __name__ == "__main__":
    run(Place.from_env())
