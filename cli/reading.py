"""What ``replay`` and ``backtest`` share: the options that say how an order log is read, and the reading."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

if TYPE_CHECKING:
    from clv.settings import Settings
    from producers.orderlog import OrderLog

LogFile = Annotated[Path, typer.Argument(help="Order log: CSV, CSV.gz or Parquet.", show_default=False)]
MapOption = Annotated[str, typer.Option("--map", metavar="FIELD=COLUMN,…", help="Columns that names do not tell.")]
CurrencyOption = Annotated[str, typer.Option(help="Currency of the log [default: CLV_CURRENCY].")]
DateFormatOption = Annotated[
    str, typer.Option(help="strptime format of the times [default: ISO 8601]; without an offset they are UTC.")
]
EncodingOption = Annotated[str, typer.Option(help="Text encoding of a CSV file.")]
RejectsOption = Annotated[
    Path | None, typer.Option(help="File for bad rows [default: rejects/ in the data directory].")
]


class Given(NamedTuple):
    """What the options of these names say; empty or None where the settings, or the file itself, decide."""

    mapping: str
    currency: str
    date_format: str
    encoding: str
    rejects: Path | None


def read_log(file: Path, settings: Settings, given: Given, *, is_quiet: bool) -> OrderLog:
    """Read an order log as the options say, and tell which columns were recognised unless ``is_quiet``.

    Raises
    ------
    InputError
        When the file or its columns cannot be used.
    """
    from producers.mapping import parse_map
    from producers.orderlog import LogOptions, read_order_log

    log = read_order_log(
        file,
        LogOptions(
            given=parse_map(given.mapping),
            currency=given.currency or settings.currency,
            date_format=given.date_format,
            encoding=given.encoding,
            rejects_path=given.rejects or settings.data_dir / "rejects" / f"{file.name}.csv",
        ),
    )
    if not is_quiet:
        typer.echo(f"columns: {', '.join(f'{field}={column}' for field, column in log.columns.items())}", err=True)
    return log


def figures(log: OrderLog) -> dict[str, object]:
    """Return what became of the file's rows, as plain data."""
    return {
        "rows": log.counts.rows,
        "rejected": log.counts.rejected,
        "skipped_no_customer": log.counts.skipped_no_customer,
        "rounded": log.counts.rounded,
        "emails_dropped": log.counts.emails_dropped,
        "rejects_file": str(log.rejects_path) if log.rejects_path else "",
    }
