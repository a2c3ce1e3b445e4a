"""A progress bar over an archive's rows, table by table."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextlib.contextmanager
def archive_progress(title: str, rows: int) -> Iterator[Callable[[str, int], None]]:
    """Show a bar while the block runs, if standard error is a terminal; what is given takes a table and rows done."""
    console = Console(stderr=True)
    columns = (
        TextColumn(title),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[table]}"),
        TimeElapsedColumn(),
    )
    done: dict[str, int] = {}
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task(title, total=rows, table="")

        def observe(table: str, count: int) -> None:
            done[table] = count
            bar.update(task, completed=sum(done.values()), table=table)

        yield observe
