"""The worker under Faust's own command line."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

import msgspec
import pytest

from clv.outcomes import Score
from clv.settings import Settings
from clv.topics import SCORES
from storage.schema import upgrade
from streams.broker import EmbeddedBroker
from streams.topics import topic_problems
from tests.acceptance.outputs import read_topic
from tests.acceptance.processes import running, wait_until
from tests.acceptance.sending import order, send

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.embedded
@pytest.mark.slow
def test_faust_runs_the_worker(tmp_path: Path) -> None:
    """``faust -A streams.worker worker`` scores orders, and ends well on SIGTERM."""
    settings = Settings(data_dir=tmp_path)
    orders = [order(f"c{number}", 1, "2024-03-01T12:00:00Z") for number in range(20)]
    with EmbeddedBroker(tmp_path):
        upgrade(settings.sql_url)
        with running(settings, "-A", "streams.worker", "worker", "--without-web", program="faust") as worker:
            wait_until(lambda: _has_topics(settings), seconds=30, what="the worker has made its topics")
            send(settings, orders)
            wait_until(lambda: len(read_topic(settings, SCORES)) >= len(orders), seconds=60, what="all are scored")
            assert worker.end(signal.SIGTERM) == 0
        scores = [msgspec.json.decode(record.value, type=Score) for record in read_topic(settings, SCORES)]
        assert sorted(score.cause for score in scores) == sorted(f"c{number}-e1" for number in range(20))


def _has_topics(settings: Settings) -> bool:
    return not asyncio.run(topic_problems(settings))
