"""Three Kafka brokers, three replicas, two in sync: each broker is killed in turn under load, and nothing is lost."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from cli.topology import Topology
from clv.settings import Settings
from tests.acceptance.outputs import check_outputs, check_sql, read_outputs
from tests.acceptance.processes import UNPACED, applied, is_caught_up, running, wait_until, worker_lag
from tests.acceptance.totals import csv_totals, stored_totals, write_between

if TYPE_CHECKING:
    from pathlib import Path

    from streams.kafka_server import KafkaServer


_DAYS = ("", "1997-01-29", "1997-02-20", "1997-03-15")
"""Where CDNOW's first weeks are cut in three: one part of the load for each broker."""


@pytest.mark.kafka
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_brokers_that_are_killed_in_turn_lose_nothing(kafka_cluster: KafkaServer, tmp_path: Path) -> None:
    """SQL equals the files and the topics, exactly, and the topics hold each outcome once."""
    settings = Settings(broker=kafka_cluster.bootstrap, replication=3, data_dir=tmp_path, worker_id="w")
    logs = [
        write_between(tmp_path / f"log-{node}.csv", since=since, before=before)
        for node, (since, before) in enumerate(pairwise(_DAYS))
    ]
    sent = 0
    with Topology(settings, workers=2) as topology:
        for node, log in enumerate(logs):
            with running(settings, "replay", str(log), *UNPACED) as replay:
                wait_until(partial(_is_busy, topology), seconds=60, what=f"the workers are busy with {log.name}")
                kafka_cluster.kill(node)
                replay.finish(seconds=120)
            sent += len(pd.read_csv(log))
            wait_until(partial(_has_applied, topology, sent), seconds=120, what=f"two brokers go on without {node}")
            kafka_cluster.start(node)
        wait_until(lambda: is_caught_up(topology), seconds=120, what="everyone has caught up")
        assert stored_totals(topology.database) == csv_totals(*logs)
        outputs = read_outputs(settings)
        assert applied(topology.database) == len(outputs.order_ids)
        check_outputs(outputs)
        check_sql(topology.database, outputs)


def _is_busy(topology: Topology) -> bool:
    topology.look_after()
    return worker_lag(topology.settings) > 100


def _has_applied(topology: Topology, count: int) -> bool:
    topology.look_after()
    return applied(topology.database) >= count
