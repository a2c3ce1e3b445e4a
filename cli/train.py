"""``clv train``: refit and publish the models now, or fit customers of whom only totals are known."""

from __future__ import annotations

import json
from pathlib import Path  # noqa: TC003  # typer reads the annotations
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from clv.settings import Settings
    from streams.retraining import Retrained


def command(
    *,
    file: Annotated[
        Path | None,
        typer.Option("--from", help="Aggregated customers instead: CSV, CSV.gz or Parquet.", show_default=False),
    ] = None,
    as_of: Annotated[
        str, typer.Option(metavar="YYYY-MM-DD", help="With --from: the file's day [default: its latest date].")
    ] = "",
    out: Annotated[
        Path | None, typer.Option(help="With --from: write each customer's prediction: .csv, .csv.gz or .parquet.")
    ] = None,
    rejects: Annotated[
        Path | None, typer.Option(help="With --from: file for bad rows [default: rejects/ in the data directory].")
    ] = None,
    is_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Refit BTYD and the ensemble now, from what is stored, and publish the result to the workers.

    The trainer does so by itself every CLV_REFIT_DAYS event-days; it may be running meanwhile.

    With --from, a model is fitted to a file of aggregated customers (customer_id, first_purchase_date, …, return_rate,
    and where known acquisition_cost and num_categories), and stored beside the others. It knows less than they do.

    Example:
        clv train --json
        clv train --from customers.csv --as-of 2024-12-31 --out scored.csv
    """
    from clv.errors import InputError
    from clv.settings import Settings

    if file is not None:
        from cli.aggregated_figures import run

        run(file, Settings.from_env(), as_of=as_of, out=out, rejects=rejects, is_json=is_json)
        return
    if as_of or out or rejects:
        raise InputError("--as-of, --out and --rejects say how to read a file, and there is none", "add --from FILE")
    _retrain(Settings.from_env(), is_json=is_json)


def _retrain(settings: Settings, *, is_json: bool) -> None:
    from rich.console import Console

    from clv.money import minor_digits
    from storage.engine import Database
    from storage.schema import require_current
    from streams.retraining import announce_now, retrain

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
