"""Stock Faust: a table, an agent event by event, one record out; with Cython parts, uvloop and a lingering producer."""

from __future__ import annotations

import sys
import tempfile
from typing import Any

import faust

from benchmarks.peers.job import OUTPUT_TOPIC, Place, add, given_out, read


def make_app(place: Place) -> faust.App:
    """Return the application; nothing is connected yet."""
    app = faust.App(
        place.group,
        broker=f"kafka://{place.broker}",
        store="memory://",
        datadir=tempfile.mkdtemp(),
        consumer_auto_offset_reset="earliest",
        topic_partitions=4,
        web_enabled=False,
        cython_optimizations=True,
        producer_linger=0.02,
        stream_buffer_maxsize=16_384,
        broker_max_poll_records=2_000,
        broker_commit_interval=1.0,
        broker_session_timeout=6.0,
        broker_heartbeat_interval=2.0,
    )
    raw = {"key_type": bytes, "value_type": bytes, "key_serializer": "raw", "value_serializer": "raw"}
    orders = app.topic(place.topic, **raw)
    output = app.topic(OUTPUT_TOPIC, partitions=4, **raw)
    table = app.Table("totals", default=None, partitions=4)

    async def take(stream: Any) -> None:
        """Add up order by order."""
        async for value in stream:
            order = read(value)
            customer = order["customer_id"]
            totals = table[customer] = add(table.get(customer), order)
            output.send_soon(key=customer.encode(), value=given_out(order, totals))

    app.agent(orders, name="take")(take)
    return app


if __name__ == "__main__":
    sys.argv = [sys.argv[0], "--loop", "uvloop", "worker", "--without-web", "-l", "error"]
    make_app(Place.from_env()).main()
