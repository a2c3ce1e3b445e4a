"""``clv export``: stored tables as files.

Example: ``clv export customers customers.csv``
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

STDOUT = Path("-")
_REPORT_EVERY = 1_000


def command(
    what: Annotated[
        str,
        typer.Argument(
            help="customers, scores, segment-changes, budget-signals, examples, dead-letters or models.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Argument(help="File: .csv, .csv.gz or .parquet; - for CSV on standard output.")],
    is_json: Annotated[bool, typer.Option("--json", help="Print one JSON object at the end.")] = False,
) -> None:
    """Export a stored table: money as exact decimal text in the currency, times as RFC 3339 in UTC.

    The file appears when it is complete. What cannot be shown as text (dead letters) is Base64. In CSV, text that
    begins with = + - @, tab or carriage return gets an apostrophe before it, so that no spreadsheet runs it.

    examples are the matured training examples: a column for each feature, each model's prediction and the value
    realised since, as numbers in minor units (examples/accuracy.ipynb judges the models by them).

    Example:
        clv export customers customers.csv
        clv export examples examples.parquet
    """
    from cli.writing import write_csv, write_rows
    from clv.errors import InputError
    from clv.money import minor_digits
    from clv.settings import Settings
    from storage.engine import Database
    from storage.export import EXPORT_NAMES, count_rows, export_columns, iter_export

    name = next((known for known in EXPORT_NAMES if known == what), None)
    if name is None:
        raise typer.BadParameter(f"{what!r} is none of {', '.join(EXPORT_NAMES)}", param_hint="WHAT")
    if is_json and out == STDOUT:
        raise InputError("--json and the rows would both go to standard output", "name a file")
    settings = Settings.from_env()
    database = Database(settings.sql_url)
    try:
        rows = iter_export(database, name, digits=minor_digits(settings.currency))
        assert isinstance(rows, Generator), "closing it ends its transaction"
        with contextlib.closing(rows), _Counted(rows, what, count_rows(database, name)) as counted:
            if out == STDOUT:
                write_csv(sys.stdout.buffer, export_columns(name), counted)
            else:
                write_rows(out, export_columns(name), counted)
    finally:
        database.close()
    if is_json:
        typer.echo(json.dumps({"rows": counted.count, "file": str(out)}))
    elif out != STDOUT:
        typer.echo(f"{counted.count} rows in {out}")


class _Counted:
    """Passes rows on and counts them, on a terminal with progress."""

    def __init__(self, rows: Iterable[dict[str, Any]], title: str, total: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        console = Console(stderr=True)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:,.0f} rows"),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
        )
        self._progress = Progress(*columns, console=console, disable=not console.is_terminal, transient=True)
        self._task = self._progress.add_task(title, total=total, rate="")
        self._rows = rows
        self.count = 0

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for row in self._rows:
            yield row
            self.count += 1
            if self.count % _REPORT_EVERY == 0:
                rate = f"{self._progress.tasks[0].speed or 0:,.0f}/s"
                self._progress.update(self._task, completed=self.count, rate=rate)
