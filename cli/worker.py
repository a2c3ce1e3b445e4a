"""``clv worker``: score order events."""

from __future__ import annotations


def command() -> None:
    """Run a worker: orders in, scores, segment changes and training examples out.

    Start one per core, each with its own CLV_WORKER_ID; they share the partitions. SIGTERM drains what is in flight.

    Example:
        CLV_BROKER=kafka:9092 CLV_DATABASE_URL=postgresql+psycopg://clv@db/clv CLV_WORKER_ID=w1 clv worker
    """
    from streams.worker import run

    run()
