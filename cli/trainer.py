"""``clv trainer``: learn from matured labels and publish models."""

from __future__ import annotations


def command() -> None:
    """Run the trainer: learn each matured label once, publish models, segment cut-offs and budget signals.

    One at a time: the newest takes over, and the database stops the one before.

    Example:
        CLV_BROKER=kafka:9092 CLV_DATABASE_URL=postgresql+psycopg://clv@db/clv clv trainer
    """
    from cli.running import run_role
    from streams.trainer import run_trainer

    run_role("trainer", run_trainer)
