"""``clv migrate``: the database's tables and the topics of this build, before its roles start."""

from __future__ import annotations

import asyncio

import typer

from clv.settings import Settings


def command() -> None:
    """Bring the database's tables up to this build and make the topics that are missing, then end.

    Every role does so when it starts; run it alone where a failure should show before any role is replaced. Again
    does no harm, and several at once wait for each other. A database that a newer build has migrated is refused.

    Example:
        clv migrate
    """
    from storage.engine import Database
    from storage.schema import upgrade
    from streams.topics import ensure_topics

    settings = Settings.from_env()
    upgrade(settings.sql_url)
    database = Database(settings.sql_url)
    typer.echo(f"{database.location} has the tables of this build")
    database.close()
    ids = asyncio.run(ensure_topics(settings))
    typer.echo(f"{len(ids)} topics are there")
