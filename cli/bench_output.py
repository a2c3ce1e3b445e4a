"""What the benchmarks' commands share: options, the machine beside every report, and tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.plots import Panel

JSON = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
ROUNDS = Annotated[int, typer.Option("--rounds", min=1, help="Runs of each subject; their median counts.")]
OUT = Annotated[
    Path | None,
    typer.Option("--out", help="Directory for a dated JSON of what was found, and a picture where there is one."),
]
DATABASE_URL = Annotated[str, typer.Option("--database-url", help="An empty database; else SQLite files.")]
MODEL_CUSTOMERS, MODEL_DAYS = 1_500, 200
"""Of the made-up shop on which models are fitted that a worker scores with."""


def measured(measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return a report with the machine it was made on.

    Raises
    ------
    InputError
        When there was too little to measure.
    """
    from benchmarks.measure import machine
    from clv.errors import InputError

    try:
        return {"machine": machine(), **measure()}
    except ValueError as problem:
        raise InputError(str(problem), "give more --customers and --days") from problem


def given(name: str, report: dict[str, Any], *, is_json: bool, out: Path | None, panels: Sequence[Panel] = ()) -> bool:
    """Write a report and its picture where they are wanted, and print it as JSON if it is; tell whether it was."""
    if out is not None:
        from benchmarks.plots import draw

        out.mkdir(parents=True, exist_ok=True)
        path = out / f"{report['machine']['at'][:10]}-{name}.json"
        path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        if panels:
            draw(panels, out / f"{name}.png")
    if is_json:
        typer.echo(json.dumps(report))
    return is_json


def cost_table(title: str, rows: Sequence[tuple[str, dict[str, Any]]]) -> None:
    """Print what each thing costs."""
    cells = [
        (
            name,
            f"{each['cpu_us']:.2f}",
            f"{each['wall_us']:.2f}",
            f"{each['per_s']:,.0f}",
            str(each["runs"]),
            f"{each['spread']:.2f}",
        )
        for name, each in rows
    ]
    show(title, ("", "CPU µs", "wall µs", "per second", "runs", "spread"), cells)


def show(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table."""
    from rich.console import Console
    from rich.table import Table

    table = Table(*columns, title=title)
    for row in rows:
        table.add_row(*row)
    Console().print(table)
