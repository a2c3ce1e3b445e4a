"""The command's table of contents: which module answers to which name, and its help without importing it."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    import typer

COMMANDS: dict[str, str] = {
    "up": "cli.up",
    "demo": "cli.demo",
    "worker": "cli.worker",
    "trainer": "cli.trainer",
    "sink": "cli.sink",
    "api": "cli.api",
    "ads": "cli.ads",
    "keys": "cli.keys",
    "replay": "cli.replay",
    "generate": "cli.generate",
    "import": "cli.import_",
    "backtest": "cli.backtest",
    "export": "cli.export",
    "simulate": "cli.simulate",
    "train": "cli.train",
    "models": "cli.models",
    "dlq": "cli.dlq",
    "topics": "cli.topics",
    "rescore": "cli.rescore",
    "explain": "cli.explain",
    "migrate": "cli.migrate",
    "forget": "cli.forget",
    "plan": "cli.plan",
    "backup": "cli.backup",
    "restore": "cli.restore",
    "bench": "cli.bench",
    "chaos": "cli.chaos",
    "doctor": "cli.doctor",
    "version": "cli.version",
}
"""Command names, in the order in which help shows them, and their modules.

A module exposes ``command``, a function with typer annotations, or ``app``, a typer application of subcommands.
"""


def register(application: typer.Typer, invoked: str, commands: Mapping[str, str] | None = None) -> None:
    """Add every command to the application, importing only the module of the one that is invoked.

    Parameters
    ----------
    application
        Where the commands go.
    invoked
        Name on the command line, or empty: then every command has its name and summary only.
    commands
        Names and modules; ``COMMANDS`` when omitted.
    """
    for name, module_name in (COMMANDS if commands is None else commands).items():
        if name != invoked:
            application.command(name, help=summary(module_name))(_unreachable)
            continue
        module = importlib.import_module(module_name)
        if hasattr(module, "app"):
            for subcommand in module.app.registered_commands:
                subcommand.help = help_text(subcommand.callback.__doc__ or "")
            application.add_typer(module.app, name=name, help=help_text(module.__doc__ or ""))
        else:
            application.command(name, help=help_text(module.command.__doc__ or ""))(module.command)


def summary(module_name: str) -> str:
    """Return the first line of a command's docstring, read from the source: nothing is imported.

    A module with ``app`` is summed up by its own docstring, after the colon if its first line has one.
    """
    spec = importlib.util.find_spec(module_name)
    assert spec is not None, f"{module_name} is registered and does not exist"
    assert spec.origin is not None
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    functions = (node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "command")
    documented = next(functions, None)
    if documented is not None:
        return (ast.get_docstring(documented) or "").partition("\n")[0]
    line = (ast.get_docstring(tree) or "").partition("\n")[0]
    return line.partition(": ")[2].capitalize() or line


def help_text(docstring: str) -> str:
    r"""Make a docstring readable as help: indented blocks keep their lines, sections for programmers go.

    Examples
    --------
    >>> help_text("Do it.\n\nExample:\n    clv do\n\nParameters\n----------\nx\n    Number.\n")
    'Do it.\n\n\x08\nExample:\n    clv do'
    """
    text = re.split(r"\n\n(?:Parameters|Returns|Raises|Notes|References)\n-+\n", inspect.cleandoc(docstring))[0]
    text = re.sub(r"\n(Examples?)\n-+\n", r"\n\1:\n", text)
    paragraphs = text.split("\n\n")
    return "\n\n".join(f"\b\n{part}" if re.search(r"^\s", part, re.MULTILINE) else part for part in paragraphs)


def _unreachable() -> None:
    raise AssertionError("a command that was not invoked ran")
