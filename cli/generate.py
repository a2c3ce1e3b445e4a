"""``clv generate``: a made-up shop with known effects, into a file or onto Kafka.

Example: ``clv generate shop.csv.gz --count 5000 --days 365 --seed 7``
"""

from __future__ import annotations

import json
from pathlib import Path  # noqa: TC003  # typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from clv.settings import Settings
    from producers.disorder import DisorderedLog
    from producers.generator import Shop


def command(
    out: Annotated[
        Path | None,
        typer.Argument(
            help="File: .csv an order log, .jsonl events, either with .gz. Without it, events go to Kafka.",
            show_default=False,
        ),
    ] = None,
    customers: Annotated[
        bool, typer.Option("--customers", help="Write the aggregated customers schema (CSV), one row a customer.")
    ] = False,
    count: Annotated[int, typer.Option(min=1, help="Customers.")] = 1_000,
    days: Annotated[int, typer.Option(min=1, max=36_500, help="Days of history.")] = 365,
    start: Annotated[str, typer.Option(metavar="YYYY-MM-DD", help="First day, UTC.")] = "2024-01-01",
    seed: Annotated[int, typer.Option(help="The same seed gives the same events.")] = 1,
    refund_rate: Annotated[float, typer.Option(min=0, max=1, help="Share of orders refunded.")] = 0.06,
    late_rate: Annotated[float, typer.Option(min=0, max=1, help="Share of events later than allowed.")] = 0.0,
    out_of_order_rate: Annotated[float, typer.Option(min=0, max=1, help="Share out of order, but in time.")] = 0.0,
    duplicate_rate: Annotated[float, typer.Option(min=0, max=1, help="Share of events that come twice.")] = 0.0,
    mails: Annotated[bool, typer.Option(help="E-mail engagement (not in order logs).")] = True,
    speed: Annotated[str, typer.Option(help="To Kafka: 1x, 100x or max.")] = "max",
    max_lead: Annotated[str, typer.Option(help="To Kafka: event-days ahead of the learning at most.")] = "7d",
    broker: Annotated[str, typer.Option(help="host:port [default: CLV_BROKER, else the running `clv up`].")] = "",
    is_json: Annotated[bool, typer.Option("--json", help="Print one JSON object at the end.")] = False,
) -> None:
    """Generate a shop's orders, refunds and mails: heavy-tailed, seasonal, churning, the same for the same seed.

    The effects of source, campaign and engagement are documented in producers/effects.py.

    Example:
        clv generate shop.csv.gz --count 5000 --days 365 --seed 7
    """
    from clv.events import parse_time_ms
    from clv.money import minor_digits
    from clv.settings import Settings
    from producers.disorder import DisorderedLog
    from producers.generator import Shop

    settings = Settings.from_env()
    digits = minor_digits(settings.currency)
    shop = Shop(
        seed=seed,
        customers=count,
        start_ms=parse_time_ms(f"{_day(start)}T00:00:00Z"),
        days=days,
        refund_rate=refund_rate,
        has_mail=mails,
        digits=digits,
    )
    log = DisorderedLog(
        log=shop,
        seed=seed,
        late_rate=late_rate,
        out_of_order_rate=out_of_order_rate,
        duplicate_rate=duplicate_rate,
        lateness_ms=settings.allowed_lateness_ms,
    )
    if out is None:
        _to_kafka(log, settings, digits=digits, speed=speed, max_lead=max_lead, broker=broker, is_json=is_json)
        return
    lines = _to_file(out, shop, log, currency=settings.currency, is_aggregated=customers)
    typer.echo(json.dumps({"file": str(out), "lines": lines}) if is_json else f"{lines} lines in {out}")


def _day(text: str) -> str:
    from datetime import date

    from clv.errors import InputError

    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise InputError(f"--start is {text!r}", "a date, for example 2024-01-01") from None


def _to_file(out: Path, shop: Shop, log: DisorderedLog, *, currency: str, is_aggregated: bool) -> int:
    from rich.console import Console

    from clv.errors import InputError
    from producers.files import write_customers, write_events, write_order_log

    kind = out.suffixes[-2] if out.suffix == ".gz" and len(out.suffixes) > 1 else out.suffix
    if kind not in {".csv", ".jsonl"} or (is_aggregated and kind != ".csv"):
        raise InputError(f"{out} has another ending", "give .csv or .jsonl, either with .gz; --customers takes .csv")
    with Console(stderr=True).status(f"writing {out}"):
        if is_aggregated:
            return write_customers(out, shop.histories(), digits=shop.digits)
        write = write_order_log if kind == ".csv" else write_events
        return write(out, log, currency=currency, digits=shop.digits)


def _to_kafka(
    log: DisorderedLog, settings: Settings, *, digits: int, speed: str, max_lead: str, broker: str, is_json: bool
) -> None:
    from cli.replay import parse_days
    from cli.sending import Sending, report, send, with_broker
    from producers.replay import ReplayOptions, parse_speed

    sending = Sending(
        log=log,
        currency=settings.currency,
        options=ReplayOptions(speed=parse_speed(speed)),
        total=None,
        max_lead_days=parse_days(max_lead),
        is_resumable=False,
        title="generated",
    )
    result = send(sending, with_broker(settings, broker))
    report(result, currency=settings.currency, digits=digits, more={}, is_json=is_json, is_resumable=False)
