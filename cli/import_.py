"""``clv import``: aggregated customers onto Kafka, as a history with the same totals.

Example: ``clv import customers.csv``
"""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  # typer reads the annotations
from typing import Annotated

import typer


def command(
    file: Annotated[Path, typer.Argument(help="Aggregated customers: CSV, CSV.gz or Parquet.", show_default=False)],
    currency: Annotated[str, typer.Option(help="Currency of the file [default: CLV_CURRENCY].")] = "",
    rejects: Annotated[
        Path | None, typer.Option(help="File for bad rows [default: rejects/ in the data directory].")
    ] = None,
    max_lead: Annotated[str, typer.Option(help="Event-days ahead of workers and trainer at most.")] = "7d",
    broker: Annotated[str, typer.Option(help="host:port [default: CLV_BROKER, else the running `clv up`].")] = "",
    is_json: Annotated[bool, typer.Option("--json", help="Print one JSON object at the end.")] = False,
) -> None:
    """Import aggregated customers (customer_id, first_purchase_date, …, return_rate).

    A row has no single orders in it: each becomes evenly spaced, equal orders with exactly the row's totals, one
    refund and 20 mails (see producers/customers.py). Importing the same file again changes nothing.

    Example:
        clv import customers.csv --currency EUR
    """
    from cli.replay import parse_days
    from cli.sending import Sending, report, send, with_broker
    from clv.money import minor_digits
    from clv.settings import Settings
    from producers.customers import read_customers
    from producers.replay import ReplayOptions

    settings = with_broker(Settings.from_env(), broker)
    currency = currency or settings.currency
    rejects = rejects or settings.data_dir / "rejects" / f"{file.name}.csv"
    log = read_customers(file, currency=currency, rejects_path=rejects)
    sending = Sending(
        log=log,
        currency=currency,
        options=ReplayOptions(),
        total=len(log),
        max_lead_days=parse_days(max_lead),
        title=file.name,
    )
    result = send(sending, settings)
    more = {
        "customers": len(log.customers),
        "rows": log.rows,
        "rejected": log.rejected,
        "rejects_file": str(rejects) if log.rejected else "",
    }
    digits = minor_digits(currency)
    report(result, currency=currency, digits=digits, more=more, is_json=is_json, is_resumable=True)
