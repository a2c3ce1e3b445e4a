"""``clv plan``: what a deployment of a given size needs, from measured figures, and what breaks first."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from clv.breaking import Limit
    from clv.capacity import Lines
    from clv.demand import Demand


def command(
    *,
    customers: Annotated[int, typer.Option("--customers", help="All that were ever seen.")],
    orders_per_second: Annotated[float, typer.Option("--orders-per-second", help="On average.")],
    peak: Annotated[float, typer.Option("--peak", help="The busiest, as a multiple of the average.")] = 3.0,
    orders_per_customer: Annotated[
        float,
        typer.Option("--orders-per-customer", help="History that a ledger holds [default: by rate and window]."),
    ] = 0.0,
    horizon: Annotated[int, typer.Option("--horizon", help="Days that a CLV counts.")] = 90,
    window: Annotated[int, typer.Option("--duplicate-window", help="Days for which ids are remembered.")] = 800,
    retention: Annotated[
        int, typer.Option("--retention", help="Days that topics of cleanup delete and SQL's history are kept.")
    ] = 365,
    store: Annotated[str, typer.Option("--store", help="Of the workers: memory or rocksdb.")] = "memory",
    database: Annotated[str, typer.Option("--database", help="postgresql or sqlite.")] = "postgresql",
    replication: Annotated[int, typer.Option("--replication", help="Replicas of each topic.")] = 3,
    busy: Annotated[
        float, typer.Option("--busy", help="Part of a core that may be used at the peak; the rest is headroom.")
    ] = 0.6,
    worker_memory: Annotated[float, typer.Option("--worker-memory", help="GB that a worker may take.")] = 8.0,
    start: Annotated[float, typer.Option("--start", help="Seconds that a worker may take to start cold.")] = 60.0,
    vcpu_hour: Annotated[float, typer.Option("--price-vcpu-hour", help="Of a core; no price, no cost.")] = 0.0,
    memory_month: Annotated[float, typer.Option("--price-memory-gb-month", help="Of a GB of memory.")] = 0.0,
    disk_month: Annotated[float, typer.Option("--price-disk-gb-month", help="Of a GB of disk.")] = 0.0,
    is_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Reckon what a deployment needs: partitions, workers, memory, disk, SQL, broker; and which part breaks first.

    Every line says how it was reckoned. The figures were measured on two shared cores (docs/performance.md); what was
    not measured is said.

    Example:
        clv plan --customers 2000000 --orders-per-second 50 --price-vcpu-hour 0.04
    """
    from clv.breaking import limits
    from clv.capacity import plan
    from clv.demand import Demand, Prices

    demand = Demand(
        customers=customers,
        orders_per_second=orders_per_second,
        peak=peak,
        orders_per_customer=orders_per_customer,
        horizon_days=horizon,
        window_days=window,
        retention_days=retention,
        store=store,
        database=database,
        replication=replication,
        busy_share=busy,
        worker_gb=worker_memory,
        start_seconds=start,
        prices=Prices(vcpu_hour=vcpu_hour, memory_gb_month=memory_month, disk_gb_month=disk_month),
    )
    lines = plan(demand)
    found = limits(lines, demand)
    if is_json:
        typer.echo(json.dumps(_report(lines, demand, found)))
        return
    _show(lines, demand, found)


def _report(lines: Lines, demand: Demand, found: list[Limit]) -> dict[str, Any]:
    from dataclasses import asdict

    from clv.breaking import NOT_MEASURED

    first = next(each for each in found if each.is_bound)
    return {
        "demand": {name: value for name, value in asdict(demand).items() if name != "open_days"},
        "lines": {key: line._asdict() for key, line in lines.items()},
        "limits": [each._asdict() | {"factor": each.factor, "is_passed": each.is_passed} for each in found],
        "breaks_first": {"part": first.part, "at_times_the_load": first.factor},
        "not_measured": list(NOT_MEASURED),
    }


def _show(lines: Lines, it: Demand, found: list[Limit]) -> None:
    from cli.bench_output import show
    from clv.breaking import NOT_MEASURED

    title = f"{it.customers:,} customers, {it.orders_per_second:,g} orders/s, {it.peak:g} × at the peak"
    cells = [(line.part, line.name, f"{amount(line.value)} {line.unit}".rstrip(), line.how) for line in lines.values()]
    show(title, ("", "what", "needs", "reckoned from"), cells)
    for is_bound, heading in ((True, "Bounds"), (False, "As far as measured")):
        limit_cells = [
            (
                each.part,
                f"{amount(each.needs)} {each.unit}",
                amount(each.holds),
                f"{amount(each.factor)} ×" + (" PASSED" if each.is_passed else ""),
                each.why,
                each.instead if each.is_passed else "",
            )
            for each in found
            if each.is_bound == is_bound
        ]
        show(heading, ("part", "needs", "holds", "of this load", "because", "instead"), limit_cells)
    typer.echo(_verdict(found))
    typer.echo(f"Headroom: a core is busy {it.busy_share:.0%} at the peak. Not measured:")
    for each in NOT_MEASURED:
        typer.echo(f"- {each}")


def _verdict(found: list[Limit]) -> str:
    first = next(each for each in found if each.is_bound)
    unseen = [each.part for each in found if each.is_passed and not each.is_bound]
    broken = [each.part for each in found if each.is_passed and each.is_bound]
    said = (
        f"This does not work as built: {', '.join(broken)}."
        if broken
        else f"What breaks first is {first.part}, at {amount(first.factor)} × this load."
    )
    return said + (f" Beyond what was measured: {', '.join(unseen)}." if unseen else "")


def amount(value: float) -> str:
    """Write a number with as many digits as say something.

    Examples
    --------
    >>> amount(1234567.8), amount(12.345), amount(0.01234)
    ('1,234,568', '12.3', '0.0123')
    """
    if value >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:,.1f}" if value >= 10 else f"{value:.3g}"
