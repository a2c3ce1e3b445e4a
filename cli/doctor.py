"""``clv doctor``: says in plain words what is wrong with an installation and a deployment."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from clv.settings import Settings

_MARKS = {"ok": "ok   ", "note": "note ", "wrong": "WRONG"}


def command(*, as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """Look at everything a deployment needs, and say what is wrong.

    Looks at Python, the data directory, the clock, the database, the broker, its topics and the workers' lag.
    Changes nothing. Exits with 1 when something is wrong.

    Example:
        clv doctor
    """
    from cli.checks import as_dicts, examine

    findings = examine(Settings.from_env())
    is_wrong = any(finding.state == "wrong" for finding in findings)
    if as_json:
        typer.echo(json.dumps({"ok": not is_wrong, "findings": as_dicts(findings)}, indent=2))
    for finding in [] if as_json else findings:
        typer.echo(f"{_MARKS[finding.state]} {finding.subject}: {finding.says}")
        if finding.hint:
            typer.echo(f"      {finding.hint}")
    if is_wrong:
        raise typer.Exit(1)
