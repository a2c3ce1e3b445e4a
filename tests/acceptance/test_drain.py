"""Roles that are told to stop, or must wait, in the middle of their work."""

from __future__ import annotations

import signal
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from cli.topology import Topology
from clv.settings import Settings
from tests.acceptance.outputs import check_outputs, check_sql, read_outputs
from tests.acceptance.processes import UNPACED, applied, exit_code_of, is_caught_up, running, wait_until, worker_lag
from tests.acceptance.totals import csv_totals, stored_totals, write_between, write_sample

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.embedded, pytest.mark.slow]


def test_a_worker_told_to_stop_drains(tmp_path: Path) -> None:
    """SIGTERM in the middle of a log: the worker ends well, the next one goes on, and nothing was done twice."""
    settings = Settings(data_dir=tmp_path / "data", batch_records=50)  # many batches under way
    log = write_between(tmp_path / "log.csv", before="1997-02-01")
    with Topology(settings) as topology, running(settings, "replay", str(log), *UNPACED) as replay:
        wait_until(lambda: applied(topology.database) > 0, seconds=60, what="the first events are applied")
        worker = topology.roles[0].process
        assert worker is not None
        worker.stop(signal_number=signal.SIGTERM, timeout_seconds=30)
        assert exit_code_of(worker) == 0
        replay.finish(seconds=60)
        assert worker_lag(settings) > 0

        wait_until(lambda: is_caught_up(topology), seconds=90, what="the next worker has done the rest")
        assert stored_totals(topology.database) == csv_totals(log)
        outputs = read_outputs(settings)
        check_outputs(outputs)
        check_sql(topology.database, outputs)
        assert outputs.repeats.total() == 0


def test_a_locked_database_is_waited_for(tmp_path: Path) -> None:
    """While another process holds SQLite's lock the sink waits and says so; then it goes on, the same process."""
    settings = Settings(data_dir=tmp_path / "data")
    log = write_sample(tmp_path / "log.csv", ending="13")
    with Topology(settings) as topology, running(settings, "replay", str(log), *UNPACED) as replay:
        wait_until(lambda: applied(topology.database) > 0, seconds=60, what="the first events are stored")
        sink = next(role for role in topology.roles if role.name == "sink")
        path = topology.database.file
        assert path is not None
        with closing(sqlite3.connect(path, timeout=30)) as other:
            other.execute("BEGIN IMMEDIATE")
            waiting = "database unavailable, waiting"
            wait_until(lambda: waiting in sink.log_path.read_text(), seconds=30, what="the sink says that it waits")
            other.rollback()

        replay.finish(seconds=60)
        wait_until(lambda: is_caught_up(topology), seconds=90, what="everything is stored")
        assert sink.restarts == 0
        assert stored_totals(topology.database) == csv_totals(log)
        outputs = read_outputs(topology.connected())
        check_outputs(outputs)
        check_sql(topology.database, outputs)
