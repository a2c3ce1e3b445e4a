"""``clv demo``: the whole product on real orders, in one command."""

from __future__ import annotations

import shutil
from typing import Annotated

import typer

MAX_LEAD_DAYS = 7
"""Event-days that the replay may be ahead of worker and trainer, so that models arrive in time to be used."""


def command(
    is_ending: Annotated[bool, typer.Option("--exit-when-done", help="Print a summary and stop at the end.")] = False,
    is_json: Annotated[bool, typer.Option("--json", help="Print the summary as one JSON object.")] = False,
    speed: Annotated[str, typer.Option(help="1x is real time, 100x a hundred times that; or max.")] = "max",
    limit: Annotated[int | None, typer.Option(min=1, help="Orders to replay at most.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Worker processes; more than one needs CLV_BROKER.")] = 1,
) -> None:
    """Replay 69,659 real orders (CDNOW) through the whole product, and watch them on the live dashboard.

    Starts everything afresh under demo/ in the data directory; CLV_BROKER and CLV_DATABASE_URL are used where set.
    Audiences go to a Meta of its own on this machine, under made-up addresses, unless CLV_ADS_PLATFORM names one.

    Example:
        clv demo --exit-when-done --json
    """
    from dataclasses import replace
    from pathlib import Path

    from cli.demo_ads import with_sandbox
    from cli.following import Follower
    from cli.sending import Sending
    from cli.topology import Topology
    from clv.settings import Settings
    from producers.orderlog import LogOptions, read_order_log
    from producers.replay import ReplayOptions, parse_speed

    given = Settings.from_env()
    settings = replace(given, data_dir=given.data_dir / "demo")
    shutil.rmtree(settings.data_dir, ignore_errors=True)
    log = read_order_log(Path(__file__).parents[1] / "data" / "cdnow_orders.csv.gz", LogOptions(currency="USD"))
    sending = Sending(
        log=log,
        currency=log.currency,
        options=ReplayOptions(speed=parse_speed(speed), limit=limit),
        total=min(len(log), limit or len(log)),
        max_lead_days=MAX_LEAD_DAYS,
    )
    with with_sandbox(settings, log) as with_ads, Topology(with_ads, workers=workers) as topology:
        follower = Follower(topology, sending)
        follower.run(is_ending=is_ending)
        follower.report(is_json=is_json)
