"""``clv version``: which version is installed."""

from __future__ import annotations

import importlib.metadata

import typer


def command() -> None:
    """Print the installed version.

    Example:
        clv version
    """
    typer.echo(importlib.metadata.version("clv-scorer"))
