"""A command that fails in the way it is told to."""

from __future__ import annotations

import typer

from clv.errors import BrokerError, ConfigError


def command(how: str) -> None:
    """Fail."""
    failures: dict[str, BaseException] = {
        "config": ConfigError("CLV_X is impossible", "set it to 1"),
        "no hint": BrokerError("the broker refused"),
        "interrupt": KeyboardInterrupt(),
        "exit": typer.Exit(3),
        "bug": ZeroDivisionError("division by zero"),
    }
    raise failures[how]
