"""``clv bench``: what the product costs on this machine, as medians of interleaved runs.

Example: ``clv bench scoring --json``
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import bench_broker
from cli.bench_output import (
    DATABASE_URL,
    JSON,
    MODEL_CUSTOMERS,
    MODEL_DAYS,
    OUT,
    ROUNDS,
    cost_table,
    given,
    measured,
    show,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.plots import Panel
    from benchmarks.shop import Traded

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
for _name in ("throughput", "latency", "recovery", "memory", "scale", "size"):
    app.command(_name)(getattr(bench_broker, _name))
_CUSTOMERS = Annotated[int, typer.Option("--customers", min=1, help="Customers of the made-up shop.")]
_DAYS = Annotated[int, typer.Option("--days", min=1, help="Days that the made-up shop is open.")]


@app.command("scoring")
def scoring(
    *,
    customers: _CUSTOMERS = 6_000,
    days: _DAYS = 240,
    rounds: ROUNDS = 7,
    out: OUT = None,
    is_json: JSON = False,
) -> None:
    """Measure what a customer's score costs: BTYD, regression, online model, ensemble and interval.

    Models are fitted on a made-up shop first, which takes a minute. One core; CPU time beside wall time.

    Example:
        clv bench scoring --rounds 15
    """
    from benchmarks.scoring import measure_scoring

    with _shop(customers, days) as (traded, observe):
        report = measured(lambda: measure_scoring(traded, rounds=rounds, observe=observe))
    if given("scoring", report, is_json=is_json, out=out):
        return
    rows = [(f"batches of {size}", figures) for size, figures in report["batches"].items()]
    rows += [(f"  {name}", figures) for name, figures in report["parts"].items()]
    cost_table("Microseconds a customer", rows)
    verdict = "within" if report["is_within_target"] else "above"
    typer.echo(f"{report['cpu_us_per_customer']} µs a customer in batches of 500: {verdict} {report['target_us']} µs")


@app.command("learner")
def learner(
    *,
    customers: _CUSTOMERS = 6_000,
    days: _DAYS = 240,
    rounds: ROUNDS = 3,
    database_url: DATABASE_URL = "",
    out: OUT = None,
    is_json: JSON = False,
) -> None:
    """Measure how many matured examples the trainer learns a second, each event-day's stored in a transaction.

    Beside it: how many a worker would give it at the speed of its pipeline alone.

    Example:
        clv bench learner --json
    """
    from benchmarks.learner import measure_learning

    with _shop(customers, days) as (traded, observe):
        report = measured(lambda: measure_learning(traded, rounds=rounds, database_url=database_url, observe=observe))
    if given("learner", report, is_json=is_json, out=out):
        return
    cost_table("Microseconds an example", [(f"learned and stored ({report['store']})", report["learner"])])
    typer.echo(
        f"{report['learner']['per_s']:,.0f} examples/s learned; one worker's pipeline alone gives "
        f"{report['worker_examples_per_s']:,.0f}/s ({report['examples_per_order']} an order): ratio {report['ratio']}"
    )


@app.command("growth")
def growth(*, rounds: ROUNDS = 3, out: OUT = None, is_json: JSON = False) -> None:
    """Measure how an order's cost in the pipeline grows with batch size, history, customers and partitions.

    Example:
        clv bench growth --out docs/performance
    """
    from benchmarks.growth import measure_growth

    with _fitted() as (traded, observe):
        report = measured(
            lambda: measure_growth(traded.scorer, start_ms=int(traded.as_of_ms[0]), rounds=rounds, observe=observe)
        )
    found = report["cpu_us_per_order"]
    if given("growth", report, is_json=is_json, out=out, panels=_growth_panels(found)):
        return
    cells = [
        (name.replace("_", " "), size, f"{cost:.1f}") for name, costs in found.items() for size, cost in costs.items()
    ]
    show("CPU-µs an order in the pipeline", ("grows", "to", "CPU µs"), cells)


def _growth_panels(found: dict[str, dict[str, float]]) -> list[Panel]:
    from benchmarks.plots import Panel

    labels = {"batch_size": "records a batch", "history": "orders before, of each customer"}
    return [
        Panel(name.replace("_", " ").capitalize(), labels.get(name, name), "CPU-µs an order", {"ours": costs})
        for name, costs in found.items()
    ]


@contextlib.contextmanager
def _fitted() -> Iterator[tuple[Traded, Callable[[str], None]]]:
    """Give a shop with fitted models, and what is called after each run."""
    from rich.console import Console

    from benchmarks.shop import trade

    fitting = "fitting models on a made-up shop"
    with Console(stderr=True).status(fitting) as status:
        yield trade(MODEL_CUSTOMERS, MODEL_DAYS, lambda day: status.update(f"{fitting}: day {day}")), status.update


@app.command("sink")
def sink(
    *,
    orders: Annotated[int, typer.Option("--orders", min=1_000, help="Orders whose outputs are stored.")] = 60_000,
    customers: _CUSTOMERS = 200_000,
    rounds: ROUNDS = 3,
    database_url: DATABASE_URL = "",
    out: OUT = None,
    is_json: JSON = False,
) -> None:
    """Measure how fast the sink stores what a worker gives out: scores, changes, examples and states, upserts included.

    Example:
        clv bench sink --database-url postgresql+psycopg://me@127.0.0.1/empty --json
    """
    from benchmarks.sink import measure_sink

    with _fitted() as (traded, observe):
        report = measured(
            lambda: measure_sink(
                traded.scorer,
                count=orders,
                customers=customers,
                database_url=database_url,
                rounds=rounds,
                start_ms=int(traded.as_of_ms[0]),
                observe=observe,
            )
        )
    if given(f"sink-{report['store'].partition('+')[0]}", report, is_json=is_json, out=out):
        return
    cost_table("Microseconds a record", [(f"stored ({report['store']})", report["records"])])
    typer.echo(
        f"{report['orders_per_s']:,.0f} orders/s, of {report['records_per_order']} records each; one worker's "
        f"pipeline alone gives {report['worker_pipeline_orders_per_s']:,.0f}/s: ratio {report['ratio']}"
    )


@app.command("api")
def api(
    *,
    customers: Annotated[int, typer.Option("--customers", min=1_000, help="Customers in SQL.")] = 1_000_000,
    seconds: Annotated[float, typer.Option("--seconds", min=1.0, help="Of each kind of request.")] = 20.0,
    rate: Annotated[float, typer.Option("--rate", min=1.0, help="Requests a second for single customers.")] = 500.0,
    database_url: Annotated[str, typer.Option("--database-url", help="An empty database; else an SQLite file.")] = "",
    out: OUT = None,
    is_json: JSON = False,
) -> None:
    """Measure how long the API takes to answer over many customers, asked at fixed times.

    Predictions are made with models that were fitted on a made-up shop. A request counts from when it was due: one
    that waits for others before it shows.

    Example:
        clv bench api --customers 100000 --json
    """
    import tempfile
    from dataclasses import replace
    from pathlib import Path

    from benchmarks.api import Asked, measure_api
    from clv.settings import Settings

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, _fitted() as (traded, observe):
        settings = replace(Settings(), data_dir=Path(folder), database_url=database_url)
        asked = Asked(seconds, rate)
        report = measured(
            lambda: measure_api(settings, traded.scorer, customers=customers, asked=asked, observe=observe)
        )
    if given(f"api-{report['store']}", report, is_json=is_json, out=out):
        return
    _api_table(report)


@app.command("audiences")
def audiences(
    *,
    customers: Annotated[int, typer.Option("--customers", min=1_000, help="Customers with a score.")] = 1_000_000,
    database_url: DATABASE_URL = "",
    out: OUT = None,
    is_json: JSON = False,
) -> None:
    """Measure how long synchronising all audiences takes, as files: first, unchanged, with a hundredth changed.

    Example:
        clv bench audiences --customers 100000 --json
    """
    import tempfile
    from dataclasses import replace
    from pathlib import Path

    from rich.console import Console

    from benchmarks.audiences import measure_audiences
    from clv.settings import Settings

    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        Console(stderr=True).status("scoring customers") as status,
    ):
        settings = replace(Settings(), data_dir=Path(folder), database_url=database_url)
        report = measured(lambda: measure_audiences(settings, customers=customers, observe=status.update))
    if given("audiences", report, is_json=is_json, out=out):
        return
    names = ("seconds", "cpu_seconds", "added", "updated", "removed", "present")
    cells = [
        (name.replace("_", " "), *(f"{each[column]:,}" for column in names))
        for name, each in report["synchronisations"].items()
    ]
    show(f"Synchronising {customers:,} customers", ("", *(name.replace("_", " ") for name in names)), cells)


def _api_table(report: dict[str, Any]) -> None:
    cells = [
        (
            name,
            f"{figures['per_second']:,.0f}",
            *(f"{figures[f'{kind}_ms']:.1f}" for kind in ("p50", "p95", "p99", "max")),
            f"{figures['target_p99_ms']:.0f}",
        )
        for name, figures in report["requests"].items()
    ]
    title = f"Milliseconds to answer, {report['customers']:,} customers, {report['store']}"
    show(title, ("", "a second", "p50", "p95", "p99", "max", "p99 wanted"), cells)


@contextlib.contextmanager
def _shop(customers: int, days: int) -> Iterator[tuple[Traded, Callable[[str], None]]]:
    """Trade in a shop behind a progress bar, and give it with what is called after each run."""
    from rich.console import Console
    from rich.progress import Progress

    from benchmarks.shop import trade
    from clv.errors import InputError
    from clv.settings import Settings

    if days <= Settings().horizon_days:
        raise InputError(f"{days} days are too few", f"labels mature after {Settings().horizon_days}: give --days 240")
    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("fitting models on a made-up shop", total=days)
        traded = trade(customers, days, lambda day: bar.update(task, completed=day))
        running = bar.add_task("measuring", total=None)
        yield traded, lambda name: bar.update(running, advance=1, description=f"measured {name}")
