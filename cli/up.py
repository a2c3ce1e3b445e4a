"""``clv up``: every role on this machine."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  # typer reads the annotations
from typing import Annotated

import typer

from cli.demo import MAX_LEAD_DAYS


def command(
    csv: Annotated[Path | None, typer.Option(help="Order log to replay: CSV, CSV.gz or Parquet.")] = None,
    mapping: Annotated[
        str, typer.Option("--map", metavar="FIELD=COLUMN,…", help="Columns that names do not tell.")
    ] = "",
    speed: Annotated[
        str, typer.Option(help="Of the replay: 1x is real time, 100x a hundred times that; or max.")
    ] = "max",
    workers: Annotated[int, typer.Option(min=1, help="Worker processes; more than one needs CLV_BROKER.")] = 1,
    is_ending: Annotated[
        bool, typer.Option("--exit-when-done", help="Stop when everyone has caught up with the log.")
    ] = False,
    is_json: Annotated[bool, typer.Option("--json", help="Print the figures at the end as one JSON object.")] = False,
) -> None:
    """Run every role and the dashboard on this machine until Ctrl-C; go on where the last run ended.

    Without CLV_BROKER the embedded broker runs, which keeps nothing itself: it is filled from the database.

    Example:
        clv up --csv my-orders.csv
    """
    from cli.following import Follower
    from cli.sending import Sending
    from cli.topology import Topology
    from clv.settings import Settings
    from producers.mapping import parse_map
    from producers.orderlog import LogOptions, read_order_log
    from producers.replay import ReplayOptions, parse_speed

    settings = Settings.from_env()
    sending = None
    if csv:
        rejects = settings.data_dir / "rejects" / f"{csv.name}.csv"
        options = LogOptions(given=parse_map(mapping), currency=settings.currency, rejects_path=rejects)
        log = read_order_log(csv, options)
        typer.echo(f"columns: {', '.join(f'{field}={column}' for field, column in log.columns.items())}", err=True)
        typer.echo(
            f"rows: {log.counts.rows:,}, without a customer (skipped): {log.counts.skipped_no_customer:,}, "
            f"rejected: {log.counts.rejected:,} {log.rejects_path or ''}",
            err=True,
        )
        sending = Sending(
            log=log,
            currency=log.currency,
            options=ReplayOptions(speed=parse_speed(speed)),
            total=len(log),
            max_lead_days=MAX_LEAD_DAYS,
        )
    with Topology(settings, workers=workers) as topology:
        broker = topology.connected().broker
        typer.echo(f"broker: {broker}  database: {topology.database.location}", err=True)
        typer.echo(f"logs: {settings.data_dir / 'logs'}", err=True)
        follower = Follower(topology, sending)
        follower.run(is_ending=is_ending)
        follower.report(is_json=is_json)
