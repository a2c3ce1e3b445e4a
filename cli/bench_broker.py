"""Benchmarks over Apache Kafka, for ``clv bench``: throughput, latency, recovery, memory, scale."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from cli.bench_output import JSON, MODEL_CUSTOMERS, MODEL_DAYS, OUT, ROUNDS, given, measured, show

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from benchmarks.plots import Panel
    from clv.settings import Settings
    from models.scorer import SnapshotScorer
    from streams.kafka_server import KafkaServer

_EVENTS = Annotated[int, typer.Option("--events", min=1_000, help="Orders on the topic.")]
_CUSTOMERS = Annotated[int, typer.Option("--customers", min=1, help="Customers who place them.")]
_HELD = Annotated[int, typer.Option("--customers", min=1_000, help="Customers in the changelog.")]
_PEERS = Annotated[str, typer.Option("--peers", help="Names, by commas; all that are built; none.")]
_BROKER = Annotated[str, typer.Option("--broker", help="An empty Kafka [default: starts one].")]


class _Bench(NamedTuple):
    """A Kafka with published models on it, settings to reach it, and what is called after each run."""

    settings: Settings
    scorer: SnapshotScorer
    start_ms: int
    observe: Callable[[str], None]


def throughput(
    *,
    events: _EVENTS = 300_000,
    customers: _CUSTOMERS = 200_000,
    peers: _PEERS = "all",
    rounds: ROUNDS = 3,
    broker: _BROKER = "",
    out: OUT = None,
    is_json: JSON = False,
) -> None:
    """Measure how many orders a second one worker carries over Apache Kafka, beside peers that only count.

    The worker does everything: decode, state, timers, features, BTYD, online, ensemble, interval, segment, changelog
    and outputs delivered, offsets committed. A peer keeps count and sum and gives one record out.

    Example:
        clv bench throughput --peers stock_faust,per_record_loop --json
    """
    from benchmarks.throughput import measure_throughput

    chosen = _chosen(peers)
    with _kafka(broker, events, customers) as bench:
        report = measured(
            lambda: measure_throughput(bench.settings, count=events, peers=chosen, rounds=rounds, observe=bench.observe)
        )
    report["customers"] = customers
    if given("throughput", report, is_json=is_json, out=out):
        return
    rows = [("ours, all of it", report["ours"]), *report["peers"].items()]
    cells = [
        (
            name,
            f"{each['events_per_s']:,.0f}",
            f"{each['cpu_us_per_event']:.1f}",
            f"{each['warm_cpu_us_per_event']:.1f}",
            f"{report['ratio'][name]:.2f} ×" if name in report["ratio"] else "",
        )
        for name, each in rows
    ]
    show("Orders carried over Apache Kafka", ("", "events/s", "CPU µs an event", "… warm", "ours against it"), cells)


def scale(
    *,
    events: _EVENTS = 300_000,
    customers: _CUSTOMERS = 200_000,
    rounds: ROUNDS = 3,
    broker: _BROKER = "",
    out: OUT = None,
    is_json: JSON = False,
) -> None:
    """Measure what an order costs when one, two and four workers share the partitions.

    Example:
        clv bench scale --json
    """
    from benchmarks.scale import measure_scale

    with _kafka(broker, events, customers) as bench:
        report = measured(lambda: measure_scale(bench.settings, count=events, rounds=rounds, observe=bench.observe))
    if given("scale", report, is_json=is_json, out=out, panels=_scale_panels(report)):
        return
    cells = [
        (name, f"{each['events_per_s']:,.0f}", f"{each['cpu_us_per_event']:.1f}", f"{each['cpu_growth']:+.1%}")
        for name, each in report["workers"].items()
    ]
    show("Workers over Apache Kafka", ("workers", "events/s", "CPU µs an event", "growth"), cells)


def latency(
    *,
    rates: Annotated[str, typer.Option("--rates", help="Orders a second, by commas.")] = "500,2000",
    seconds: Annotated[float, typer.Option("--seconds", min=1.0, help="Of each rate.")] = 20.0,
    peers: _PEERS = "per_record_loop",
    broker: _BROKER = "",
    out: OUT = None,
    is_json: JSON = False,
) -> None:
    """Measure the time from an order that is due to a score that a consumer has, beside a hand-written loop.

    Example:
        clv bench latency --rates 500 --json
    """
    from benchmarks.latency import measure_latency
    from clv.errors import InputError

    chosen = _chosen(peers)
    if not all(rate.isdigit() and int(rate) for rate in rates.split(",")):
        raise InputError(f"--rates is {rates!r}", "numbers by commas, for example 500,2000")
    wanted = [int(rate) for rate in rates.split(",")]
    with _kafka(broker) as bench:
        report = measured(
            lambda: measure_latency(
                bench.settings,
                rates=wanted,
                seconds=seconds,
                peers=chosen,
                start_ms=bench.start_ms,
                observe=bench.observe,
            )
        )
    if given("latency", report, is_json=is_json, out=out):
        return
    cells = [
        (f"{name} at {rate}/s", *(f"{each[f'{q}_ms']:.1f}" for q in ("p50", "p95", "p99", "max")))
        for rate, found in report["rates"].items()
        for name, each in found.items()
    ]
    show("Milliseconds from order to score", ("", "p50", "p95", "p99", "max"), cells)


def recovery(*, customers: _HELD = 1_000_000, broker: _BROKER = "", out: OUT = None, is_json: JSON = False) -> None:
    """Measure how long a worker takes from its start to its first score, with so many customers in the changelog.

    Example:
        clv bench recovery --customers 200000 --json
    """
    from benchmarks.recovery import measure_recovery

    with _kafka(broker) as bench:
        report = measured(
            lambda: measure_recovery(
                bench.settings, bench.scorer, customers=customers, start_ms=bench.start_ms, observe=bench.observe
            )
        )
    if given("recovery", report, is_json=is_json, out=out):
        return
    cells = [
        (name.replace("_", ", "), *(f"{each[key]:.1f}" for key in ("first_s", "all_s", "cpu_s", "resident_mb")))
        for name, each in report["starts"].items()
    ]
    columns = ("store", "s to first score", "s to last partition", "CPU s", "resident MB")
    show(f"A start with {customers:,} customers", columns, cells)


def memory(
    *,
    sizes: Annotated[
        str, typer.Option("--customers", help="Numbers of customers, by commas.")
    ] = "100000,300000,1000000",
    broker: _BROKER = "",
    out: OUT = None,
    is_json: JSON = False,
) -> None:
    """Measure what a customer takes in a worker's memory, by store, labels, timers and duplicate memory included.

    Example:
        clv bench memory --customers 50000,100000 --json
    """
    from benchmarks.recovery import measure_memory
    from clv.errors import InputError

    if not all(size.isdigit() and int(size) for size in sizes.split(",")):
        raise InputError(f"--customers is {sizes!r}", "numbers by commas, for example 100000,1000000")
    wanted = sorted(int(size) for size in sizes.split(","))
    with _kafka(broker) as bench:
        report = measured(
            lambda: measure_memory(
                bench.settings, bench.scorer, sizes=wanted, start_ms=bench.start_ms, observe=bench.observe
            )
        )
    if given("memory", report, is_json=is_json, out=out, panels=_memory_panels(report)):
        return
    cells = [
        (store, f"{int(size):,}", f"{each['resident_mb']:,.0f}", f"{each['bytes_per_customer']:.0f}")
        for store, found in report["stores"].items()
        for size, each in found.items()
    ]
    show("A worker's memory", ("store", "customers", "resident MB", "bytes a customer"), cells)


def size(
    *,
    shops: Annotated[
        str, typer.Option("--shops", help="Customers and mean orders of each, by commas.")
    ] = "4000x4,8000x4,600x16",
    database_urls: Annotated[
        str,
        typer.Option(
            "--database-urls", help="An empty PostgreSQL database for each shop, by commas; else SQLite alone."
        ),
    ] = "",
    out: OUT = None,
    is_json: JSON = False,
) -> None:
    """Measure what customers and orders take on topics, in the changelog and in each SQL table.

    Each shop passes through a Kafka of its own, a worker and a sink; then the files are looked at. `clv plan` reckons
    with the first shop's figures, and is checked with the others.

    Example:
        clv bench size --shops 5000x4 --json
    """
    from benchmarks.size import Shop, measure_size
    from clv.errors import InputError

    wanted = []
    for each in shops.split(","):
        customers, _, orders = each.partition("x")
        if not (customers.isdigit() and orders.isdigit() and int(customers) >= 100 and int(orders)):
            raise InputError(f"--shops is {shops!r}", "at least 100 customers x orders, by commas: 4000x4,600x16")
        wanted.append(Shop(int(customers), int(orders)))
    urls = database_urls.split(",") if database_urls else [""] * len(wanted)
    if len(urls) != len(wanted):
        raise InputError(f"{len(wanted)} shops and {len(urls)} databases", "give --database-urls one for each shop")
    found: list[dict[str, Any]] = []
    report = measured(lambda: {"shops": found})
    for shop, url in zip(wanted, urls, strict=True):
        with _kafka("") as bench:
            found.append(
                measure_size(
                    bench.settings,
                    bench.scorer,
                    shop,
                    data=bench.settings.data_dir / "kafka" / "broker-0" / "data",
                    database_url=url,
                    start_ms=bench.start_ms,
                    observe=bench.observe,
                )
            )
        given("size", report, is_json=False, out=out)  # shops take minutes: what is there is kept
    if given("size", report, is_json=is_json, out=None):
        return
    for sized in found:
        cells = [(name, f"{of['records']:,}", f"{of['bytes_per_record']:,.0f}") for name, of in sized["topics"].items()]
        cells += [
            (f"{store}: {name}", f"{of['rows']:,}", f"{of['bytes_per_row']:,.0f}")
            for store, sql in sized["sql"].items()
            for name, of in sql["tables"].items()
        ]
        show(
            f"{sized['customers']:,} customers, {sized['orders']:,} orders", ("", "records, rows", "bytes each"), cells
        )


def _scale_panels(report: dict[str, Any]) -> list[Panel]:
    from benchmarks.plots import Panel

    costs = {name: each["cpu_us_per_event"] for name, each in report["workers"].items()}
    return [Panel("What an order costs", "workers", "CPU-µs of all workers", {"ours": costs})]


def _memory_panels(report: dict[str, Any]) -> list[Panel]:
    from benchmarks.plots import Panel

    held = {
        key: {store: {size: each[key] for size, each in found.items()} for store, found in report["stores"].items()}
        for key in ("resident_mb", "bytes_per_customer")
    }
    return [
        Panel("What a worker holds", "customers", "resident MB", held["resident_mb"]),
        Panel(
            "What a customer takes",
            "customers",
            "bytes beyond an empty worker's",
            held["bytes_per_customer"],
            report["target_bytes"],
        ),
    ]


def _chosen(peers: str) -> list[str]:
    from benchmarks.peers.commands import PEERS, are_built, check

    if peers == "all":
        chosen = are_built()
        if missing := [name for name in PEERS if name not in chosen]:
            typer.echo(f"left out, build with `make peers`: {', '.join(missing)}", err=True)
        return chosen
    chosen = [name for name in peers.split(",") if name not in ("", "none")]
    check(chosen)
    return chosen


@contextlib.contextmanager
def _kafka(broker: str, events: int = 0, customers: int = 0) -> Iterator[_Bench]:
    """Give a Kafka with published models on it, and so many orders."""
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
        task = bar.add_task("fitting models on a made-up shop", total=MODEL_DAYS)
        traded = trade(MODEL_CUSTOMERS, MODEL_DAYS, lambda day: bar.update(task, completed=day))
        address = broker or stack.enter_context(_own_kafka(folder)).bootstrap
        settings = replace(Settings(), broker=address, data_dir=folder, segment_cutoffs="200,50")
        start_ms = int(traded.as_of_ms[0])
        filling = bar.add_task(f"putting {events:,} orders on Kafka", total=None)
        fill(settings, events, customers, start_ms=start_ms)
        publish(settings, traded.scorer)
        bar.update(filling, total=1, completed=1)
        running = bar.add_task("measuring", total=None)
        yield _Bench(
            settings,
            traded.scorer,
            start_ms,
            lambda name: bar.update(running, advance=1, description=f"measured {name}"),
        )


def _own_kafka(folder: Path) -> KafkaServer:
    from pathlib import Path

    from clv.errors import InputError
    from streams.kafka_server import KafkaServer

    libs = Path(__file__).parents[1] / ".kafka" / "libs"
    if not libs.is_dir():
        raise InputError("Kafka's jars are not here", "fetch them with `make kafka`, or give --broker")
    return KafkaServer(folder / "kafka", libs)
