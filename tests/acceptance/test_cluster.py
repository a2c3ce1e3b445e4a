"""Three Kafka brokers, three replicas, two in sync: each broker is killed in turn under load, and nothing is lost."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from cli.topology import Topology
from clv.settings import Settings
from tests.acceptance.outputs import check_outputs, check_sql, read_outputs
from tests.acceptance.processes import UNPACED, applied, is_caught_up, running, wait_until, worker_lag
from tests.acceptance.totals import csv_totals, stored_totals, write_beginning

if TYPE_CHECKING:
    from pathlib import Path

    from streams.kafka_server import KafkaServer


@pytest.mark.kafka
@pytest.mark.slow
@pytest.mark.timeout(400)
def test_brokers_that_are_killed_in_turn_lose_nothing(kafka_cluster: KafkaServer, tmp_path: Path) -> None:
    """SQL equals the file and the topics, exactly, and the topics hold each outcome once."""
    settings = Settings(broker=kafka_cluster.bootstrap, replication=3, data_dir=tmp_path, worker_id="w")
    log = write_beginning(tmp_path / "log.csv", before="1997-03-15")
    total = len(log.read_text().splitlines()) - 1
    with Topology(settings, workers=2) as topology, running(settings, "replay", str(log), *UNPACED) as replay:
        for node in range(kafka_cluster.brokers):
            at = total * (2 * node + 1) // 12
            wait_until(partial(_is_busy, topology, at), seconds=60, what=f"the workers are busy behind {at} orders")
            kafka_cluster.kill(node)
            wait_until(partial(_has_passed, topology, at), seconds=60, what=f"two brokers go on without {node}")
            kafka_cluster.start(node)
        replay.finish(seconds=120)
        wait_until(lambda: is_caught_up(topology), seconds=120, what="everyone has caught up")
        assert stored_totals(topology.database) == csv_totals(log)
        outputs = read_outputs(settings)
        assert applied(topology.database) == len(outputs.order_ids)
        check_outputs(outputs)
        check_sql(topology.database, outputs)


def _is_busy(topology: Topology, behind: int) -> bool:
    topology.look_after()
    return applied(topology.database) >= behind and worker_lag(topology.settings) > 100


def _has_passed(topology: Topology, at: int) -> bool:
    topology.look_after()
    return applied(topology.database) > at + 200
