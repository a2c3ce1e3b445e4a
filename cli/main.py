"""Entry point of ``clv``: finds the command, runs it, and says in one line what went wrong.

Exit codes: 0 done, 1 something failed, 2 the command line is wrong, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from cli import logs, registry
from clv.errors import ConfigError, ScorerError
from clv.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_FAILED = 1
_INTERRUPTED = 130


def main() -> None:
    """Run ``clv`` with the process's arguments and exit."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str], commands: Mapping[str, str] | None = None) -> int:
    """Run one command line; return the exit code. Nothing but ``SystemExit`` codes and text on stderr gets out.

    Parameters
    ----------
    arguments
        Without the program's name.
    commands
        Names and modules; the registry's when omitted.
    """
    invoked = next((text for text in arguments if not text.startswith("-")), "")
    is_debug = "--debug" in arguments[: arguments.index(invoked) if invoked else len(arguments)]
    try:
        _configure_logs()
        _application(invoked, commands)(args=list(arguments), prog_name="clv")
    except SystemExit as end:
        return _exit_code(end)
    except KeyboardInterrupt:
        typer.echo("interrupted", err=True)
        return _INTERRUPTED
    except ScorerError as problem:
        _show(str(problem), problem.hint, is_debug=is_debug)
        return _FAILED
    except BrokenPipeError:
        # The reader of our output has gone (`clv … | head`); Python would complain once more while flushing at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _FAILED
    except Exception as problem:  # noqa: BLE001  # the last resort: any other failure becomes one line too
        hint = "" if is_debug else f"details: {_keep_traceback()}; or run again with: clv --debug {invoked} …"
        _show(f"unexpected {type(problem).__name__}: {_one_line(problem)}", hint, is_debug=is_debug)
        return _FAILED
    return 0


def _application(invoked: str, commands: Mapping[str, str] | None) -> typer.Typer:
    application = typer.Typer(
        name="clv",
        help="Customer lifetime value from order events, as they happen. CLV_* variables hold the settings.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )

    @application.callback()
    def options(
        *,
        debug: bool = typer.Option(False, "--debug", help="Show the traceback of a failure; before the command."),
        version: bool = typer.Option(False, "--version", help="Print the version.", is_eager=True, callback=_tell),
    ) -> None:
        del version  # said by then
        del debug  # `run` looks for it itself: it must be known before anything can fail

    registry.register(application, invoked, commands)
    return application


def _tell(is_asked: bool) -> None:
    if is_asked:
        from cli.version import command

        command()
        raise typer.Exit


def _configure_logs() -> None:
    try:
        settings = Settings.from_env()
    except ConfigError:
        settings = Settings()  # the command reads the settings itself and fails with the reason
    logs.configure(settings)


def _exit_code(end: SystemExit) -> int:
    code = end.code if isinstance(end.code, int) else _FAILED if end.code else 0
    if code == _INTERRUPTED:
        typer.echo("interrupted", err=True)
    return code


def _show(message: str, hint: str, *, is_debug: bool) -> None:
    if is_debug:
        typer.echo(traceback.format_exc(), err=True)
    typer.echo(f"error: {message}", err=True)
    if hint:
        typer.echo(f"hint: {hint}", err=True)


def _one_line(problem: Exception) -> str:
    return " ".join(str(problem).split())[:300]


def _keep_traceback() -> Path:
    """Append the traceback to a log under the data directory, and return its path."""
    path = Path(os.environ.get("CLV_DATA_DIR") or Settings().data_dir) / "logs" / "errors.log"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as log:
            log.write(f"{datetime.now(UTC).isoformat()} {' '.join(sys.argv[:2])}\n{traceback.format_exc()}\n")
    except OSError:
        return Path(os.devnull)
    return path


if __name__ == "__main__":
    main()
