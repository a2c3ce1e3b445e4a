"""Roles replaced one by one while orders flow, as for a new release."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from cli.topology import Topology
from clv.settings import Settings
from storage.overview import partition_progress
from tests.acceptance.outputs import check_outputs, check_sql, read_outputs
from tests.acceptance.processes import applied, exit_code_of, is_caught_up, run, running, wait_until
from tests.acceptance.totals import event_totals, stored_totals

if TYPE_CHECKING:
    from pathlib import Path

SHOP = (
    *("--count", "2500", "--days", "180", "--seed", "6"),
    *("--late-rate", "0.02", "--out-of-order-rate", "0.05", "--duplicate-rate", "0.03", "--refund-rate", "0.1"),
)


@pytest.mark.kafka
@pytest.mark.postgres
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_rolling_restart_under_load_loses_nothing(
    kafka_bootstrap: str, postgres_database: str, tmp_path: Path
) -> None:
    """Sink, trainer and each of two workers are drained and replaced in turn while orders flow; all end well."""
    settings = Settings(broker=kafka_bootstrap, database_url=postgres_database, data_dir=tmp_path)
    shop = tmp_path / "shop.jsonl"
    run(settings, "generate", str(shop), *SHOP, seconds=60)
    with Topology(settings, workers=2) as topology, running(settings, "generate", *SHOP) as generate:
        wait_until(lambda: applied(topology.database) > 500, seconds=60, what="the workers are at work")
        run(settings, "migrate", seconds=60)
        for name in ("sink", "trainer", "worker-1", "worker-2"):
            assert generate.process.is_running, "it must be under load"
            _replace(topology, name)
        generate.finish(seconds=200)
        wait_until(lambda: is_caught_up(topology), seconds=60, what="everyone has caught up")
        lines = shop.read_text().splitlines()
        assert stored_totals(topology.database) == event_totals(lines)
        outputs = read_outputs(settings)
        check_outputs(outputs)
        check_sql(topology.database, outputs)


def _replace(topology: Topology, name: str) -> None:
    """Have a role drain, start it again, and wait until every partition has gone on."""
    role = next(role for role in topology.roles if role.name == name)
    assert role.process is not None
    role.process.stop(signal_number=signal.SIGTERM, timeout_seconds=30)
    assert exit_code_of(role.process) == 0
    before = partition_progress(topology.database)

    def has_gone_on() -> bool:
        topology.look_after()
        now = partition_progress(topology.database)
        return all(now[number].applied_offset > place.applied_offset for number, place in before.items())

    wait_until(has_gone_on, seconds=60, what=f"every partition goes on with a new {name}")
