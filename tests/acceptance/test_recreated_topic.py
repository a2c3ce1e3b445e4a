"""The orders topic deleted and made again behind a running worker's back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from cli.topology import Topology
from clv.settings import Settings
from clv.topics import ORDERS
from streams.app import EXIT_FAILED
from streams.topics import ensure_topics, topic_ids
from tests.acceptance.processes import exit_code_of, is_caught_up, wait_until
from tests.acceptance.sending import order, send, ticks
from tests.acceptance.totals import Totals, stored_totals
from tests.kafka_topics import delete_topics

if TYPE_CHECKING:
    from pathlib import Path

FAUST_CRASHED = 1
"""Exit status of Faust's own worker when one of its services has failed."""


@pytest.mark.kafka
@pytest.mark.slow
def test_a_recreated_orders_topic_begins_anew_and_customers_stay(kafka_bootstrap: str, tmp_path: Path) -> None:
    """The worker notices and ends; the next one applies the new topic from offset 0, on the totals of old customers."""
    settings = Settings(broker=kafka_bootstrap, data_dir=tmp_path)
    old = [order(f"c{number}", 1, "2024-03-01T12:00:00Z") for number in range(40)]
    new = [order(f"c{number}", 2, "2024-03-04T12:00:00Z", total="2.50") for number in range(20, 60)]
    with Topology(settings) as topology:
        send(settings, [*old, *ticks(settings, "2024-03-02T00:00:00Z")])
        wait_until(lambda: is_caught_up(topology), seconds=60, what="the old orders are applied")
        worker, first_id = topology.roles[0].process, _orders_id(settings)
        assert worker is not None

        delete_topics(settings, prefix=ORDERS)
        asyncio.run(ensure_topics(settings))
        assert _orders_id(settings) != first_id
        # Some of the old ones are sent again: their customers remember them.
        places = send(settings, [*old[:10], *new, *ticks(settings, "2024-03-05T00:00:00Z")])
        assert min(offset for _, offset in places) == 0
        wait_until(lambda: not worker.is_running, seconds=30, what="the worker ends")
        # By its own look at the topic, or because Faust stumbled over the missing one before.
        assert exit_code_of(worker) in {EXIT_FAILED, FAUST_CRASHED}, topology.roles[0].log_path.read_text()
        wait_until(lambda: is_caught_up(topology), seconds=90, what="the new orders are applied")

        expected = {f"c{number}": Totals(1, 1_000) for number in range(20)}
        expected |= {f"c{number}": Totals(2, 1_250) for number in range(20, 40)}
        expected |= {f"c{number}": Totals(1, 250) for number in range(40, 60)}
        assert stored_totals(topology.database) == expected


def _orders_id(settings: Settings) -> str:
    return asyncio.run(topic_ids(settings))[ORDERS]
