"""All of CDNOW over Apache Kafka and PostgreSQL, with a worker killed on the way."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import pytest

from cli.topology import Topology
from clv.settings import Settings
from storage.overview import partition_progress
from tests.acceptance.outputs import check_outputs, check_sql, read_outputs
from tests.acceptance.processes import applied, is_caught_up, orders_behind, running, wait_until
from tests.acceptance.totals import CDNOW, csv_totals, stored_totals

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.kafka
@pytest.mark.postgres
@pytest.mark.slow
@pytest.mark.timeout(420)
def test_a_killed_worker_loses_and_doubles_nothing(
    kafka_bootstrap: str, postgres_database: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Kill one of two workers in the middle of CDNOW: SQL equals pandas, and the topics hold each outcome once."""
    settings = Settings(broker=kafka_bootstrap, database_url=postgres_database, data_dir=tmp_path, worker_id="w")
    began = time.monotonic()
    with Topology(settings, workers=2) as topology, running(settings, "replay", str(CDNOW)) as replay:
        wait_until(lambda: applied(topology.database) > 20_000, seconds=180, what="20,000 applied")
        before = partition_progress(topology.database)
        assert orders_behind(topology) > 0
        victim = topology.roles[0].process
        assert victim is not None
        victim.stop(signal_number=signal.SIGKILL)
        killed = time.monotonic()

        def all_go_on() -> bool:
            topology.look_after()
            now = partition_progress(topology.database)
            return all(now[number].applied_offset > before[number].applied_offset for number in before)

        wait_until(all_go_on, seconds=60, what="every partition goes on")
        record_property("resumed_after_seconds", time.monotonic() - killed)
        replay.finish(seconds=300)
        wait_until(lambda: is_caught_up(topology), seconds=120, what="everyone has caught up")
        record_property("seconds", time.monotonic() - began)
        record_property("restarts", {role.name: role.restarts for role in topology.roles})

        assert stored_totals(topology.database) == csv_totals(CDNOW)
        outputs = read_outputs(settings)
        record_property("repeats", dict(outputs.repeats))
        record_property("events", [len(outputs.scores), len(outputs.changes), len(outputs.examples)])
        check_outputs(outputs)
        check_sql(topology.database, outputs)
        assert applied(topology.database) == len(outputs.order_ids)
