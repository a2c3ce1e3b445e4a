"""``clv chaos``: faults on a running deployment while work remains, and whether anything was lost, added or stuck."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def command(
    *,
    faults: Annotated[int, typer.Option("--faults", min=1, help="How many faults to strike.")] = 20,
    seed: Annotated[int, typer.Option("--seed", help="Decides their order, and what each does.")] = 1,
    kinds: Annotated[str, typer.Option("--kinds", help="Kinds of faults, by commas [default: all].")] = "",
    database_url: Annotated[
        str, typer.Option("--database-url", help="An empty PostgreSQL database; else SQLite.")
    ] = "",
    resume: Annotated[
        Path | None, typer.Option("--resume", help="Keep each run's result here; go on from them.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write the JSON into this file too.")] = None,
    customers: Annotated[int, typer.Option("--customers", min=100, help="Customers of the made-up shop.")] = 1_500,
    rate: Annotated[int, typer.Option("--rate", min=50, help="Records fed a second.")] = 400,
    outage: Annotated[
        float, typer.Option("--outage-seconds", min=1, help="How long the broker is unreachable.")
    ] = 30.0,
    is_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Kill, freeze, cut off and corrupt parts of a deployment under load, then check every row, event and offset.

    Runs its own Apache Kafka, three workers, sink and trainer. Ends with 1 when anything is lost, extra or stuck.

    Example:
        clv chaos --faults 15 --seed 7 --json
    """
    from rich.console import Console

    from benchmarks.chaos.campaign import kinds_for, order_of_faults, run_campaign
    from benchmarks.chaos.report import kinds_table, places_table, summary
    from benchmarks.chaos.stage import Plan
    from clv.errors import InputError

    console = Console(stderr=True)
    libs = Path(__file__).parents[1] / ".kafka" / "libs"
    if not libs.is_dir():
        raise InputError("Kafka's jars are not here", "fetch them with `make kafka`")
    plan = Plan(libs, customers, rate, outage, database_url)
    chosen = kinds_for(plan, [name for name in kinds.split(",") if name])
    struck = order_of_faults(chosen, faults, seed)
    with console.status("starting") as status:
        report = run_campaign(plan, faults=struck, seed=seed, kept=resume, observe=status.update)
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    parts = (kinds_table(report), places_table(report), summary(report))
    typer.echo(json.dumps(report) if is_json else "\n\n".join(parts))
    if report["lost"] or report["extra"] or report["stuck"]:
        raise typer.Exit(1)
