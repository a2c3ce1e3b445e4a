"""``clv bench``: what the product costs on this machine, as medians of interleaved runs.

Example: ``clv bench scoring --json``
"""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from benchmarks.shop import Traded
    from clv.settings import Settings
    from streams.kafka_server import KafkaServer

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
_JSON = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
_ROUNDS = Annotated[int, typer.Option("--rounds", min=1, help="Runs of each subject; their median counts.")]
_CUSTOMERS = Annotated[int, typer.Option("--customers", min=1, help="Customers of the made-up shop.")]
_DAYS = Annotated[int, typer.Option("--days", min=1, help="Days that the made-up shop is open.")]
_MODEL_CUSTOMERS, _MODEL_DAYS = 1_500, 200


@app.command("scoring")
def scoring(*, customers: _CUSTOMERS = 6_000, days: _DAYS = 240, rounds: _ROUNDS = 7, is_json: _JSON = False) -> None:
    """Measure what a customer's score costs: BTYD, regression, online model, ensemble and interval.

    Models are fitted on a made-up shop first, which takes a minute. One core; CPU time beside wall time.

    Example:
        clv bench scoring --rounds 15
    """
    from benchmarks.scoring import measure_scoring

    with _shop(customers, days) as (traded, observe):
        report = _measured(lambda: measure_scoring(traded, rounds=rounds, observe=observe))
    if is_json:
        typer.echo(json.dumps(report))
        return
    rows = [(f"batches of {size}", figures) for size, figures in report["batches"].items()]
    rows += [(f"  {name}", figures) for name, figures in report["parts"].items()]
    _table("Microseconds a customer", rows)
    verdict = "within" if report["is_within_target"] else "above"
    typer.echo(f"{report['cpu_us_per_customer']} µs a customer in batches of 500: {verdict} {report['target_us']} µs")


@app.command("learner")
def learner(
    *,
    customers: _CUSTOMERS = 6_000,
    days: _DAYS = 240,
    rounds: _ROUNDS = 3,
    database_url: Annotated[str, typer.Option("--database-url", help="An empty database; else SQLite files.")] = "",
    is_json: _JSON = False,
) -> None:
    """Measure how many matured examples the trainer learns a second, each event-day's stored in a transaction.

    Beside it: how many a worker would give it at the speed of its pipeline alone.

    Example:
        clv bench learner --json
    """
    from benchmarks.learner import measure_learning

    with _shop(customers, days) as (traded, observe):
        report = _measured(lambda: measure_learning(traded, rounds=rounds, database_url=database_url, observe=observe))
    if is_json:
        typer.echo(json.dumps(report))
        return
    _table("Microseconds an example", [(f"learned and stored ({report['store']})", report["learner"])])
    typer.echo(
        f"{report['learner']['per_s']:,.0f} examples/s learned; one worker's pipeline alone gives "
        f"{report['worker_examples_per_s']:,.0f}/s ({report['examples_per_order']} an order): ratio {report['ratio']}"
    )


@app.command("throughput")
def throughput(
    *,
    events: Annotated[int, typer.Option("--events", min=1_000, help="Orders on the topic.")] = 300_000,
    customers: Annotated[int, typer.Option("--customers", min=1, help="Customers who place them.")] = 200_000,
    peers: Annotated[str, typer.Option("--peers", help="Names, by commas; none for ours alone.")] = "all",
    rounds: _ROUNDS = 3,
    broker: Annotated[str, typer.Option("--broker", help="An empty Kafka [default: starts one].")] = "",
    is_json: _JSON = False,
) -> None:
    """Measure how many orders a second one worker carries over Apache Kafka, beside peers that only count.

    The worker does everything: decode, state, timers, features, BTYD, online, ensemble, interval, segment, changelog
    and outputs delivered, offsets committed. A peer keeps count and sum and gives one record out.

    Example:
        clv bench throughput --peers stock_faust,per_record_loop --json
    """
    from benchmarks.throughput import PEERS, measure_throughput
    from clv.errors import InputError

    chosen = list(PEERS) if peers == "all" else [name for name in peers.split(",") if name not in ("", "none")]
    if unknown := [name for name in chosen if name not in PEERS]:
        raise InputError(f"there is no peer {unknown[0]!r}", f"known: {', '.join(PEERS)}")
    with _filled_kafka(broker, events, customers) as (settings, observe):
        report = _measured(
            lambda: measure_throughput(settings, count=events, peers=chosen, rounds=rounds, observe=observe)
        )
    report["customers"] = customers
    if is_json:
        typer.echo(json.dumps(report))
        return
    rows = [("ours, all of it", report["ours"]), *report["peers"].items()]
    _throughput_table(rows, report["ratio"])


@app.command("api")
def api(
    *,
    customers: Annotated[int, typer.Option("--customers", min=1_000, help="Customers in SQL.")] = 1_000_000,
    seconds: Annotated[float, typer.Option("--seconds", min=1.0, help="Of each kind of request.")] = 20.0,
    rate: Annotated[float, typer.Option("--rate", min=1.0, help="Requests a second for single customers.")] = 500.0,
    database_url: Annotated[str, typer.Option("--database-url", help="An empty database; else an SQLite file.")] = "",
    is_json: _JSON = False,
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

    from rich.console import Console

    from benchmarks.api import Asked, measure_api
    from benchmarks.shop import trade
    from clv.settings import Settings

    fitting = "fitting models on a made-up shop"
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        Console(stderr=True).status(fitting) as status,
    ):
        traded = trade(_MODEL_CUSTOMERS, _MODEL_DAYS, lambda day: status.update(f"{fitting}: day {day}"))
        settings = replace(Settings(), data_dir=Path(folder), database_url=database_url)
        asked = Asked(seconds, rate)
        report = _measured(
            lambda: measure_api(settings, traded.scorer, customers=customers, asked=asked, observe=status.update)
        )
    if is_json:
        typer.echo(json.dumps(report))
        return
    _api_table(report)


def _api_table(report: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    title = f"Milliseconds to answer, {report['customers']:,} customers, {report['store']}"
    table = Table("", "a second", "p50", "p95", "p99", "max", "p99 wanted", title=title)
    for name, figures in report["requests"].items():
        cells = [f"{figures[f'{kind}_ms']:.1f}" for kind in ("p50", "p95", "p99", "max")]
        table.add_row(name, f"{figures['per_second']:,.0f}", *cells, f"{figures['target_p99_ms']:.0f}")
    Console().print(table)


@contextlib.contextmanager
def _filled_kafka(broker: str, events: int, customers: int) -> Iterator[tuple[Settings, Callable[[str], None]]]:
    """Give settings of a Kafka with orders and published models on it, and what is called after each run."""
    import tempfile
    from dataclasses import replace
    from pathlib import Path

    from rich.console import Console
    from rich.progress import Progress

    from benchmarks.load import fill, publish
    from benchmarks.shop import trade
    from clv.settings import Settings

    console = Console(stderr=True)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        bar = stack.enter_context(Progress(console=console, disable=not console.is_terminal))
        task = bar.add_task("fitting models on a made-up shop", total=_MODEL_DAYS)
        traded = trade(_MODEL_CUSTOMERS, _MODEL_DAYS, lambda day: bar.update(task, completed=day))
        address = broker or stack.enter_context(_own_kafka(folder)).bootstrap
        settings = replace(Settings(), broker=address, data_dir=folder, segment_cutoffs="200,50")
        filling = bar.add_task(f"putting {events:,} orders on Kafka", total=None)
        fill(settings, events, customers, start_ms=int(traded.as_of_ms[0]))
        publish(settings, traded.scorer)
        bar.update(filling, total=1, completed=1)
        running = bar.add_task("measuring", total=None)
        yield settings, lambda name: bar.update(running, advance=1, description=f"measured {name}")


def _own_kafka(folder: Path) -> KafkaServer:
    from pathlib import Path

    from clv.errors import InputError
    from streams.kafka_server import KafkaServer

    libs = Path(__file__).parents[1] / ".kafka" / "libs"
    if not libs.is_dir():
        raise InputError("Kafka's jars are not here", "fetch them with `make kafka`, or give --broker")
    return KafkaServer(folder / "kafka", libs)


def _throughput_table(rows: list[tuple[str, dict[str, Any]]], ratios: dict[str, float]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("", "events/s", "CPU µs an event", "ours against it", title="Orders carried over Apache Kafka")
    for name, figures in rows:
        cells = (f"{figures['events_per_s']:,.0f}", f"{figures['cpu_us_per_event']:.1f}")
        table.add_row(name, *cells, f"{ratios[name]:.2f} ×" if name in ratios else "")
    Console().print(table)


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


def _measured(measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    from benchmarks.measure import machine
    from clv.errors import InputError

    try:
        return {"machine": machine(), **measure()}
    except ValueError as problem:
        raise InputError(str(problem), "give more --customers and --days") from problem


def _table(title: str, rows: list[tuple[str, dict[str, Any]]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("", "CPU µs", "wall µs", "per second", "runs", "spread", title=title)
    for name, figures in rows:
        cells = (f"{figures['cpu_us']:.2f}", f"{figures['wall_us']:.2f}", f"{figures['per_s']:,.0f}")
        table.add_row(name, *cells, str(figures["runs"]), f"{figures['spread']:.2f}")
    Console().print(table)
