"""A progress bar over a log's events: how many, how fast, which event date."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from clv.outcomes import rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console


@contextlib.contextmanager
def progress(title: str, total: int | None, console: Console) -> Iterator[Callable[[int, int], None]]:
    """Show a bar while the block runs, if the console is a terminal; what is given takes events and milliseconds."""
    columns = (
        SpinnerColumn(),
        TextColumn(title),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}", justify="right"),
        TextColumn("{task.fields[event_date]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=total, rate="", event_date="")

        def observe(events: int, at_ms: int) -> None:
            rate = f"{bar.tasks[0].speed or 0:,.0f}/s"
            bar.update(task, completed=events, rate=rate, event_date=rfc3339(at_ms)[:10])

        yield observe
