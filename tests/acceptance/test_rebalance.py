"""A second worker that comes and goes while records flow."""

from __future__ import annotations

import signal
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from cli.topology import Topology
from clv.settings import Settings
from storage.overview import partition_progress, summarise
from streams.admin import admin_client
from streams.topics import orders_group
from tests.acceptance.outputs import check_outputs, check_sql, read_outputs
from tests.acceptance.processes import applied, is_caught_up, run, running, wait_until
from tests.acceptance.totals import event_totals, stored_totals

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SHOP = (
    *("--count", "2500", "--days", "180", "--seed", "5"),
    *("--late-rate", "0.02", "--out-of-order-rate", "0.05", "--duplicate-rate", "0.03", "--refund-rate", "0.1"),
)


@pytest.mark.kafka
@pytest.mark.postgres
@pytest.mark.slow
def test_rebalances_lose_and_double_nothing(
    kafka_bootstrap: str,
    postgres_database: str,
    tmp_path: Path,
    record_testsuite_property: Callable[[str, object], None],
) -> None:
    """Late, doubled, reordered events and refunds, two rebalances: totals as in the file, each outcome once."""
    settings = Settings(broker=kafka_bootstrap, database_url=postgres_database, data_dir=tmp_path)
    shop = tmp_path / "shop.jsonl"
    run(settings, "generate", str(shop), *SHOP, seconds=60)
    with Topology(settings) as topology, running(settings, "generate", *SHOP) as generate:
        wait_until(lambda: applied(topology.database) > 0, seconds=60, what="the first worker is at work")
        with running(replace(settings, worker_id="second"), "worker") as second:
            wait_until(lambda: _members(topology) == 2, seconds=30, what="the second worker has joined")
            wait_until(_going_on(topology), seconds=60, what="every partition goes on")
            assert second.end(signal.SIGTERM) == 0, second.output[-3000:]
        assert generate.process.is_running
        generate.finish(seconds=120)
        wait_until(lambda: is_caught_up(topology), seconds=60, what="everyone has caught up")

        lines = shop.read_text().splitlines()
        found = summarise(topology.database).counts
        assert found["applied"] == len(set(lines))
        assert found["duplicate"] == len(lines) - len(set(lines))
        assert found["late"] > 0
        assert stored_totals(topology.database) == event_totals(lines)
        outputs = read_outputs(settings)
        record_testsuite_property("rebalanced: repeats", dict(outputs.repeats))
        check_outputs(outputs)
        check_sql(topology.database, outputs)
        assert {role.name: role.restarts for role in topology.roles if role.restarts} == {}


def _members(topology: Topology) -> int:
    """Return how many workers hold partitions."""
    settings = topology.connected()
    incarnation = next(iter(partition_progress(topology.database).values())).incarnation
    group = orders_group(settings, incarnation)
    with admin_client(settings) as admin:
        found = admin.describe_groups([group])[group]
    return len(found["members"]) if found["group_state"] == "Stable" else 0


def _going_on(topology: Topology) -> Callable[[], bool]:
    """Return a question: whether every partition has come further than now."""
    before = partition_progress(topology.database)

    def has_gone_on() -> bool:
        now = partition_progress(topology.database)
        return all(now[number].applied_offset > place.applied_offset for number, place in before.items())

    return has_gone_on
