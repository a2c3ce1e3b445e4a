"""docs/reference/cli.md, every command's own help: ``python -m tests.docs.cli_page`` writes it."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
from typing import TYPE_CHECKING

import typer.main

from cli.main import _application
from cli.registry import COMMANDS
from tests.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = ROOT / "docs" / "reference" / "cli.md"
_HEAD = """# Commands

What each command says with `--help`. This page is written by `make reference`; a test fails when it differs from the
commands. `clv` alone lists them, `clv --debug COMMAND` shows the traceback of a failure, and every failure is one line
with a hint and an exit code that is not 0.
"""


def commands() -> list[tuple[str, ...]]:
    """Return every command and subcommand, as words after ``clv``."""
    found: list[tuple[str, ...]] = []
    for name, module_name in COMMANDS.items():
        found.append((name,))
        module = importlib.import_module(module_name)
        if hasattr(module, "app"):
            group = typer.main.get_command(module.app)
            found += [(name, subcommand) for subcommand in getattr(group, "commands", {})]
    return found


def help_of(words: tuple[str, ...]) -> str:
    """Return what a command line says with ``--help``, in 80 columns."""
    shown = io.StringIO()
    with _columns("80"), contextlib.redirect_stdout(shown):
        _application(words[0], None)(args=[*words, "--help"], prog_name="clv", standalone_mode=False)
    return "\n".join(line.rstrip() for line in shown.getvalue().strip().splitlines())


def page() -> str:
    """Return the page."""
    parts = [_HEAD]
    for words in commands():
        level = "##" if len(words) == 1 else "###"
        parts.append(f"{level} clv {' '.join(words)}\n\n```text\n{help_of(words)}\n```\n")
    return "\n".join(parts)


@contextlib.contextmanager
def _columns(count: str) -> Iterator[None]:
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = count
    try:
        yield
    finally:
        if before is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = before


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
