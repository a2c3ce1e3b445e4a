"""``clv replay``: a recorded order log onto Kafka.

Example: ``clv replay data/cdnow_orders.csv.gz --speed max``
"""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  # typer reads the annotations
from typing import Annotated

import typer


def command(
    file: Annotated[Path, typer.Argument(help="Order log: CSV, CSV.gz or Parquet.", show_default=False)],
    mapping: Annotated[
        str, typer.Option("--map", metavar="FIELD=COLUMN,…", help="Columns that names do not tell.")
    ] = "",
    currency: Annotated[str, typer.Option(help="Currency of the log [default: CLV_CURRENCY].")] = "",
    date_format: Annotated[
        str, typer.Option(help="strptime format of the times [default: ISO 8601]; without an offset they are UTC.")
    ] = "",
    encoding: Annotated[str, typer.Option(help="Text encoding of a CSV file.")] = "utf-8-sig",
    rejects: Annotated[
        Path | None, typer.Option(help="File for bad rows [default: rejects/ in the data directory].")
    ] = None,
    speed: Annotated[str, typer.Option(help="1x is real time, 100x a hundred times that; or max.")] = "max",
    max_lead: Annotated[
        str, typer.Option(help="At full speed: event-days ahead of workers and trainer at most, 0d not to wait.")
    ] = "7d",
    limit: Annotated[int | None, typer.Option(min=1, help="Events to send at most.")] = None,
    loop: Annotated[
        bool, typer.Option("--loop", help="Begin again at the end, as new events at later times, until Ctrl-C.")
    ] = False,
    restart: Annotated[bool, typer.Option("--restart", help="Do not go on where an interrupted replay ended.")] = False,
    broker: Annotated[str, typer.Option(help="host:port [default: CLV_BROKER, else the running `clv up`].")] = "",
    is_json: Annotated[bool, typer.Option("--json", help="Print one JSON object at the end.")] = False,
) -> None:
    """Replay an order log: its orders and refunds in event time, with Ticks at each day's end.

    An interrupted replay goes on where it was when the same command is given again.

    Example:
        clv replay log.csv --map customer_id=CustomerID,order_id=InvoiceNo --currency GBP --speed 100x
    """
    from cli.sending import Sending, report, send, with_broker
    from clv.settings import Settings
    from producers.mapping import parse_map
    from producers.orderlog import LogOptions, read_order_log
    from producers.replay import ReplayOptions, parse_speed

    settings = with_broker(Settings.from_env(), broker)
    options = ReplayOptions(speed=parse_speed(speed), limit=limit, is_looped=loop)
    max_lead_days = parse_days(max_lead)
    log = read_order_log(
        file,
        LogOptions(
            given=parse_map(mapping),
            currency=currency or settings.currency,
            date_format=date_format,
            encoding=encoding,
            rejects_path=rejects or settings.data_dir / "rejects" / f"{file.name}.csv",
        ),
    )
    if not is_json:
        typer.echo(f"columns: {', '.join(f'{field}={column}' for field, column in log.columns.items())}", err=True)
    result = send(
        Sending(
            log=log,
            currency=log.currency,
            options=options,
            total=None if loop else min(len(log), limit or len(log)),
            max_lead_days=max_lead_days,
            is_restarted=restart,
            title=file.name,
        ),
        settings,
    )
    more = {
        "rows": log.counts.rows,
        "rejected": log.counts.rejected,
        "skipped_no_customer": log.counts.skipped_no_customer,
        "rounded": log.counts.rounded,
        "emails_dropped": log.counts.emails_dropped,
        "rejects_file": str(log.rejects_path) if log.rejects_path else "",
    }
    report(result, currency=log.currency, digits=log.digits, more=more, is_json=is_json, is_resumable=True)


def parse_days(text: str) -> int:
    """Read a number of event-days, ``7d`` or ``7``.

    Raises
    ------
    InputError
        When it is none.

    Examples
    --------
    >>> parse_days("7d")
    7
    """
    from clv.errors import InputError

    number = text.removesuffix("d")
    if not number.isascii() or not number.isdigit() or len(number) > 5:
        raise InputError(f"{text!r} is not a number of days", "for example 7d")
    return int(number)
