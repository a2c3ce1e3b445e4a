"""``clv replay``: a recorded order log onto Kafka.

Example: ``clv replay data/cdnow_orders.csv.gz --speed max``
"""

from __future__ import annotations

from typing import Annotated

import typer

from cli import reading


def command(
    file: reading.LogFile,
    mapping: reading.MapOption = "",
    currency: reading.CurrencyOption = "",
    date_format: reading.DateFormatOption = "",
    encoding: reading.EncodingOption = "utf-8-sig",
    rejects: reading.RejectsOption = None,
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
    from producers.replay import ReplayOptions, parse_speed

    settings = with_broker(Settings.from_env(), broker)
    options = ReplayOptions(speed=parse_speed(speed), limit=limit, is_looped=loop)
    max_lead_days = parse_days(max_lead)
    given = reading.Given(mapping, currency, date_format, encoding, rejects)
    log = reading.read_log(file, settings, given, is_quiet=is_json)
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
    more = reading.figures(log)
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
