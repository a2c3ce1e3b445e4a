"""A command that works."""

from __future__ import annotations

from typing import Annotated

import typer


def command(times: Annotated[int, typer.Option(help="How often.")] = 1) -> None:
    """Say something good.

    Example:
        clv good --times 2

    Parameters
    ----------
    times
        Not for users.
    """
    typer.echo(" ".join(["good"] * times))
