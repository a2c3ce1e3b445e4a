"""``clv topics``: the deployment's topics on its broker, and what is wrong with them."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Any

import typer

from clv.settings import Settings


def command(
    *,
    create: Annotated[bool, typer.Option("--create", help="Create the topics that are missing first.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show the topics: id, partitions, policy, and what differs from what is needed.

    Exits with 1 when a topic is missing or differs.

    Example:
        clv topics --create
    """
    from streams import topics

    settings = Settings.from_env()
    if create:
        asyncio.run(topics.ensure_topics(settings))
    ids, problems = asyncio.run(_look(settings))
    report: dict[str, Any] = {
        "topics": [
            {
                "topic": spec.name,
                "id": ids.get(spec.name, ""),
                "partitions": topics.partition_count(spec, settings),
                "policy": spec.policy,
                "retention_ms": spec.retention_ms,
                "max_message_bytes": spec.max_message_bytes,
                "problems": [f"{problem}; mend: {problem.mend}" for problem in problems if problem.topic == spec.name],
            }
            for spec in topics.specs(settings)
        ]
    }
    typer.echo(json.dumps(report, indent=2) if as_json else _as_text(report))
    if problems:
        raise typer.Exit(1)


async def _look(settings: Settings) -> tuple[dict[str, str], list[Any]]:
    from streams.topics import topic_ids, topic_problems

    return await topic_ids(settings), await topic_problems(settings)


def _as_text(report: dict[str, Any]) -> str:
    lines = []
    for topic in report["topics"]:
        lines.append(f"{topic['topic']:<30} {topic['partitions']:>3} partitions  {topic['policy']:<7}  {topic['id']}")
        lines += [f"  ! {problem}" for problem in topic["problems"]]
    return "\n".join(lines)
