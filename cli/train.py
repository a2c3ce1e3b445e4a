"""``clv train``: refit and publish the models now."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from streams.retraining import Retrained


def command(*, is_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """Refit BTYD and the ensemble now, from what is stored, and publish the result to the workers.

    The trainer does so by itself every CLV_REFIT_DAYS event-days; it may be running meanwhile.

    Example:
        clv train --json
    """
    from rich.console import Console

    from clv.money import minor_digits
    from clv.settings import Settings
    from storage.engine import Database
    from storage.schema import require_current
    from streams.retraining import announce_now, retrain

    settings = Settings.from_env()
    database = Database(settings.sql_url)
    try:
        require_current(database)
        with Console(stderr=True).status("training"):
            result = retrain(settings, database)
            problem = announce_now(settings, result.events)
    finally:
        database.close()
    report = describe(result, problem, digits=minor_digits(settings.currency))
    if is_json:
        typer.echo(json.dumps(report, indent=2))
        return
    for name, figure in report.items():
        if name not in {"metrics", "not_announced", "pinned"}:
            typer.echo(f"{name.replace('_', ' '):>18}  {figure}")
    for name, metrics in report["metrics"].items():
        typer.echo(f"{name:>18}  " + "  ".join(f"{key} {figure:,.4g}" for key, figure in metrics.items()))
    if not result.ensemble:
        typer.echo("the ensemble was not refitted: too few matured examples", err=True)
    if result.pinned:
        typer.echo(f"pinned, so that nothing else answers until clv models unpin: {result.pinned}", err=True)
    if problem:
        typer.echo(f"stored, and not announced: {problem}; the trainer announces it when it starts", err=True)


def describe(result: Retrained, problem: str, *, digits: int) -> dict[str, Any]:
    """Return what was trained as plain data; ``problem`` says why it was not announced, if so."""
    import msgspec

    from cli.accuracy import error_figures
    from clv.outcomes import rfc3339

    return {
        "version": result.version,
        "learned_through_at": rfc3339(result.learned_through_ms),
        "champion": result.champion,
        "btyd": result.btyd,
        "customers": result.customers,
        "repeat_customers": result.repeat_customers,
        "examples": result.examples,
        "ensemble": result.ensemble,
        "pinned": result.pinned,
        "announced": not problem,
        "not_announced": problem,
        "metrics": {
            name: error_figures(msgspec.structs.asdict(metrics), digits) for name, metrics in result.metrics.items()
        },
    }
