"""``clv sink``: store what the output topics carry."""

from __future__ import annotations


def command() -> None:
    """Run a sink: scores, segment changes, signals, examples, announcements and dead letters into SQL.

    One on SQLite; on PostgreSQL several share the partitions.

    Example:
        CLV_BROKER=kafka:9092 CLV_DATABASE_URL=postgresql+psycopg://clv@db/clv clv sink
    """
    from cli.running import run_role
    from streams.sink import run_sink

    run_role("sink", run_sink)
