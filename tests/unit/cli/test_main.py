"""The command line: lazy commands, one-line failures, exit codes."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from cli import registry
from cli.main import run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FAKES = {
    "good": "tests.unit.cli.fake_commands.good",
    "failing": "tests.unit.cli.fake_commands.failing",
    "group": "tests.unit.cli.fake_commands.group",
    "slow": "tests.unit.cli.fake_commands.slow_import",
}


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Keep error logs in the test's folder."""
    monkeypatch.setenv("CLV_DATA_DIR", str(tmp_path))
    yield tmp_path
    sys.modules.pop(FAKES["good"], None)


def test_help_names_every_command_and_imports_none(capsys: pytest.CaptureFixture[str]) -> None:
    """Help shows each command with its first docstring line, without importing its module."""
    assert run(["--help"], FAKES) == 0

    shown = capsys.readouterr().out
    assert "good     Say something good." in shown
    assert "group    Things that come in two." in shown
    assert FAKES["good"] not in sys.modules


def test_a_command_runs_with_its_options(capsys: pytest.CaptureFixture[str]) -> None:
    """The invoked command gets its options."""
    assert run(["good", "--times", "2"], FAKES) == 0

    assert capsys.readouterr().out == "good good\n"


def test_command_help_keeps_the_example_in_one_piece(capsys: pytest.CaptureFixture[str]) -> None:
    """A command's help has its example as it was written, and no section for programmers."""
    assert run(["good", "--help"], FAKES) == 0

    shown = capsys.readouterr().out
    assert "Example:\n      clv good --times 2\n" in shown
    assert "Parameters" not in shown


def test_a_group_of_commands_is_reached(capsys: pytest.CaptureFixture[str]) -> None:
    """A module with an application of its own offers its subcommands."""
    assert run(["group", "second"], FAKES) == 0

    assert capsys.readouterr().out == "second\n"


@pytest.mark.parametrize(
    ("how", "code", "stderr"),
    [
        ("config", 1, "error: CLV_X is impossible\nhint: set it to 1\n"),
        ("no hint", 1, "error: the broker refused\n"),
        ("interrupt", 130, "interrupted\n"),
        ("exit", 3, ""),
    ],
)
def test_a_failure_is_one_line(how: str, code: int, stderr: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Our errors and Ctrl-C become one line, a hint where there is one, and the right exit code."""
    assert run(["failing", how], FAKES) == code

    assert capsys.readouterr().err == stderr


def test_an_interrupt_during_import_is_one_line_too(capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C while a command's module is still being imported ends as everywhere else."""
    assert run(["slow"], FAKES) == 130

    assert capsys.readouterr().err == "interrupted\n"


def test_the_unexpected_is_one_line_and_a_kept_traceback(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A bug is one line that says where its traceback is."""
    assert run(["failing", "bug"], FAKES) == 1

    shown = capsys.readouterr().err.splitlines()
    assert shown[0] == "error: unexpected ZeroDivisionError: division by zero"
    assert shown[1].startswith(f"hint: details: {data_dir}/logs/errors.log")
    assert "ZeroDivisionError" in (data_dir / "logs" / "errors.log").read_text()


def test_debug_shows_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    """With --debug before the command the traceback is shown."""
    assert run(["--debug", "failing", "bug"], FAKES) == 1

    assert "Traceback (most recent call last)" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["nothing"], ["good", "--nothing"], ["good", "--times", "many"]])
def test_a_wrong_command_line_exits_with_two(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown command or option, or an impossible value, is a usage error."""
    assert run(arguments, FAKES) == 2

    assert "Try 'clv" in capsys.readouterr().err


@pytest.mark.parametrize("name", registry.COMMANDS)
def test_every_registered_command_has_a_summary_and_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each command's module is there, is summed up in one line, and its help shows how it is called."""
    assert registry.summary(registry.COMMANDS[name])

    assert run([name, "--help"]) == 0
    assert f"clv {name}" in capsys.readouterr().out.partition("Usage:")[2].partition("\n")[2]


def test_help_is_quick_because_nothing_heavy_is_imported() -> None:
    """`clv --help` imports no engine, database, data frame or Kafka client."""
    heavy = {"pandas", "sqlalchemy", "faust", "kafka", "aiokafka", "river", "sklearn", "scipy", "numpy", "onnxruntime"}
    code = f"import sys; from cli.main import run; run(['--help']); print(sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "[]"


def test_the_version_is_told_without_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    """As most programs do it, and as `clv version` does."""
    assert run(["--version"]) == 0
    told = capsys.readouterr().out
    assert run(["version"]) == 0
    assert told == capsys.readouterr().out != ""
