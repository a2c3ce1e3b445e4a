"""``clv backtest``."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from typing import TYPE_CHECKING

import pytest

from cli.backtest import _stopping
from cli.main import run
from cli.sending import INTERRUPTED

if TYPE_CHECKING:
    from pathlib import Path

COMMANDS = {"backtest": "cli.backtest"}


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give an order log of three customers, in a data directory of the test's own."""
    monkeypatch.setenv("CLV_DATA_DIR", str(tmp_path / "clv"))
    path = tmp_path / "shop.csv"
    rows = [f"{c},2024-0{m}-1{c},{c}.50" for m in range(1, 7) for c in range(3)]
    path.write_text("\n".join(["who,date,amount", *rows]), encoding="utf-8")
    return path


def test_the_command_says_what_came_true(shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One JSON object with the figures of every candidate; predictions and run log are where it says."""
    out = tmp_path / "out.csv"
    options = ("--map", "customer_id=who", "--horizon-days", "30", "--refit-days", "20", "--predictions", str(out))
    assert run(["backtest", str(shop), *options, "--json"], COMMANDS) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["customers"], said["rows"], said["first_day"], said["last_day"]) == (3, 18, "2024-01-10", "2024-06-12")
    assert said["moments"] == len(out.read_text().splitlines()) - 1
    assert set(said["scored"]["predicted"]["all"]) == {"count", "deviance", "mae", "ratio"}
    start, *_, end = map(json.loads, (tmp_path / "out.run.jsonl").read_text().splitlines())
    assert (start["kind"], start["horizon_days"], start["refit_days"]) == ("start", 30, 20)
    assert (end["kind"], end["scored"]) == ("end", said["scored"])


def test_figures_are_readable_too(shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without ``--json``, a line for each figure and candidate."""
    options = ("--map", "customer_id=who", "--horizon-days", "30", "--predictions", str(tmp_path / "p.csv"))
    assert run(["backtest", str(shop), *options], COMMANDS) == 0
    said = capsys.readouterr().out
    for part in ("moments per second", "predictions", "naive all", "deviance", "seconds by part"):
        assert part in said


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["missing.csv"], "missing.csv"),
        (["{shop}", "--map", "customer_id=nobody"], "nobody"),
        (["{shop}", "--map", "customer_id=who", "--predictions", "{shop}/p.csv"], "cannot be written"),
    ],
    ids=["no file", "no column", "no folder"],
)
def test_what_cannot_be_done_is_one_line_and_a_hint(
    shop: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], wanted: str
) -> None:
    """The cause in one line, how to mend it in another, exit code 1."""
    assert run(["backtest", *(part.format(shop=shop) for part in arguments)], COMMANDS) == 1
    cause, hint = [line for line in capsys.readouterr().err.splitlines() if line.startswith(("error: ", "hint: "))]
    assert wanted in cause
    assert hint.startswith("hint: ")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_signal_asks_for_an_end_and_a_second_ctrl_c_does_not_wait(number: signal.Signals) -> None:
    """The first one is answered at the day's end; afterwards signals mean what they meant before."""
    before = signal.getsignal(number)
    with _stopping() as is_stopping:
        assert not is_stopping()
        os.kill(os.getpid(), number)
        assert is_stopping()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(number) is before


def test_an_interrupted_run_says_that_it_goes_on(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 130 and no file of predictions; the same command again ends as if nothing had happened."""
    out = tmp_path / "p.csv"
    command = ["backtest", str(shop), "--map", "customer_id=who", "--horizon-days", "30", "--predictions", str(out)]
    with monkeypatch.context() as patch:
        patch.setattr("cli.backtest._stopping", lambda: contextlib.nullcontext(lambda: True))
        assert run([*command, "--json"], COMMANDS) == INTERRUPTED
    said = capsys.readouterr()
    assert json.loads(said.out)["interrupted"] is True
    assert "the same command goes on from here" in said.err
    assert not out.exists()
    assert run([*command, "--json"], COMMANDS) == 0
    assert json.loads(capsys.readouterr().out)["resumed_from"] == "2024-01-11"
    assert out.exists()
