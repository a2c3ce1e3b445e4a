"""CDNOW through the roles of docker-compose.yml, over Apache Kafka and PostgreSQL, with workers killed on the way."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import httpx2
import pytest

from storage.overview import partition_progress
from tests.acceptance.outputs import check_outputs, check_sql, order_ends, read_outputs
from tests.acceptance.processes import applied, is_caught_up, running, wait_until, worker_lag
from tests.acceptance.totals import csv_totals, stored_totals, write_between
from tests.deployment.production_like import ProductionLike

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cli.topology import Role, Topology


@pytest.mark.kafka
@pytest.mark.postgres
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_workers_lose_and_double_nothing(
    kafka_bootstrap: str,
    postgres_database: str,
    tmp_path: Path,
    record_testsuite_property: Callable[[str, object], None],
) -> None:
    """Kill each of two workers in the middle of CDNOW: SQL equals pandas, and the topics hold each outcome once."""
    log = write_between(tmp_path / "log.csv", before="1997-04-15")
    began = time.monotonic()
    deployment = ProductionLike(tmp_path, broker=kafka_bootstrap, database_url=postgres_database)
    settings = deployment.settings
    with deployment as topology, running(settings, "replay", str(log), "--max-lead", "28d") as replay:
        roles = {role.name: role for role in topology.roles}
        seconds = [_kill(topology, roles["worker-1"], at=5_000), _kill(topology, roles["worker-2"], at=12_000)]
        record_testsuite_property("killed: caught up after seconds", seconds)
        replay.finish(seconds=500)
        wait_until(lambda: is_caught_up(topology), seconds=300, what="everyone has caught up")
        record_testsuite_property("killed: seconds", time.monotonic() - began)
        restarts = {name: role.restarts for name, role in roles.items()}
        assert restarts == {"worker-1": 1, "worker-2": 1, "sink": 0, "trainer": 0, "api": 0, "ads": 0}
        assert {name: topology.is_healthy(name) for name in roles} == dict.fromkeys(roles, True)
        assert _customers_served(topology) == len(csv_totals(log))

        assert stored_totals(topology.database) == csv_totals(log)
        outputs = read_outputs(settings)
        record_testsuite_property("killed: repeats", dict(outputs.repeats))
        assert applied(topology.database) == len(outputs.order_ids)
        check_outputs(outputs)
        check_sql(topology.database, outputs)


def _customers_served(topology: ProductionLike) -> int:
    """Return how many customers the API counts, with the key that it wants."""
    address, headers = f"{topology.url}api/dashboard/summary", {"Authorization": f"Bearer {topology.key}"}
    assert httpx2.get(address).status_code == 401
    return int(httpx2.get(address, headers=headers).raise_for_status().json()["customers"])


def _kill(topology: Topology, role: Role, *, at: int) -> float:
    """Kill a worker behind this many orders and with more to do; return how long until all of that is stored."""

    def is_busy() -> bool:
        topology.look_after()
        return applied(topology.database) >= at and worker_lag(topology.settings) > 500

    wait_until(is_busy, seconds=120, what=f"{role.name} is busy behind {at} orders")
    assert role.process is not None
    role.process.stop(signal_number=signal.SIGKILL)
    killed, ends = time.monotonic(), order_ends(topology.settings)

    def is_done() -> bool:
        topology.look_after()
        reached = partition_progress(topology.database)
        return role.restarts == 1 and all(reached[number].applied_offset + 1 >= end for number, end in ends.items())

    wait_until(is_done, seconds=60, what=f"what lay there when {role.name} was killed is stored")
    return time.monotonic() - killed
