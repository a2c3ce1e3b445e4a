"""``clv group``: things that come in two."""

from __future__ import annotations

import typer

app = typer.Typer()


@app.command()
def first() -> None:
    """Say first."""
    typer.echo("first")


@app.command()
def second() -> None:
    """Say second."""
    typer.echo("second")
