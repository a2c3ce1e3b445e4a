"""``clv up`` stopped and started again, on the embedded broker, which forgets everything on exit."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import closing
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from clv.settings import Settings
from storage.engine import Database
from tests.acceptance.processes import UNPACED, applied, has_caught_up, run, running, wait_until
from tests.acceptance.totals import csv_totals, stored_totals, write_sample

if TYPE_CHECKING:
    from pathlib import Path

    from tests.acceptance.processes import Command


@pytest.mark.embedded
@pytest.mark.slow
@pytest.mark.timeout(240)
def test_up_goes_on_where_it_was(tmp_path: Path) -> None:
    """After Ctrl-C, and after kill -9 in mid-replay, the next ``clv up`` ends with everyone's exact totals."""
    settings = Settings(data_dir=tmp_path / "data")
    first, second, third = _thirds(write_sample(tmp_path / "log.csv", ending="31"))
    with running(settings, "up") as up:
        _wait_until_up(up)
        _replay(settings, first)
        assert up.end(signal.SIGINT) == 0
    with running(settings, "up") as up:
        _wait_until_up(up)
        _replay(settings, second)
        assert _stored(settings) == csv_totals(first, second)
        with closing(Database(settings.sql_url)) as database, running(settings, "replay", str(third)):
            before = applied(database)
            wait_until(lambda: applied(database) > before, seconds=60, what="the replay has begun")
            children = _children(up.process.pid)
            os.killpg(up.process.pid, signal.SIGKILL)
            wait_until(lambda: not any(map(_is_alive, children)), seconds=10, what="no role outlives its parent")
        assert _stored(settings) != csv_totals(first, second, third)
    with running(settings, "up") as up:
        _wait_until_up(up)
        _replay(settings, third)
        assert _stored(settings) == csv_totals(first, second, third)


def _thirds(log: Path) -> tuple[Path, Path, Path]:
    rows = pd.read_csv(log, dtype=str).sort_values("date")
    size = -(-len(rows) // 3)
    paths = (log.with_name("first.csv"), log.with_name("second.csv"), log.with_name("third.csv"))
    for number, path in enumerate(paths):
        rows[number * size : (number + 1) * size].to_csv(path, index=False)
    return paths


def _wait_until_up(up: Command) -> None:
    wait_until(lambda: "logs: " in up.output, seconds=60, what="`clv up` has started its roles")


def _replay(settings: Settings, log: Path) -> None:
    run(settings, "replay", str(log), *UNPACED, seconds=90)
    with closing(Database(settings.sql_url)) as database:
        wait_until(lambda: has_caught_up(settings, database), seconds=60, what=f"{log.name} is applied and stored")


def _stored(settings: Settings) -> dict[str, object]:
    with closing(Database(settings.sql_url)) as database:
        return dict(stored_totals(database))


def _children(pid: int) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=True)
    return [int(line) for line in found.stdout.split()]


def _is_alive(pid: int) -> bool:
    found = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return bool(found.stdout.strip()) and not found.stdout.startswith("Z")
