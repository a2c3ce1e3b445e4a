"""A good customer who stops buying."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
import pytest

from cli.topology import Topology
from clv.outcomes import SegmentChange
from clv.settings import Settings
from clv.topics import SEGMENT_CHANGES
from storage.overview import segment_totals
from tests.acceptance.outputs import read_topic
from tests.acceptance.processes import is_caught_up, wait_until
from tests.acceptance.sending import order, send, ticks

if TYPE_CHECKING:
    from pathlib import Path

START = datetime(2024, 1, 1, 12, tzinfo=UTC)


@pytest.mark.embedded
@pytest.mark.slow
def test_a_customer_who_stops_buying_drifts_down_by_time_alone(tmp_path: Path) -> None:
    """Weekly orders make a High-CLV customer; Ticks without any order take it to Low-CLV, and silence is the reason."""
    settings = Settings(data_dir=tmp_path, segment_cutoffs="200,20")
    with Topology(settings) as topology:
        connected = topology.connected()
        weeks = [order("c1", week, _at(7 * week), total="100.00") for week in range(8)]
        send(connected, [*weeks, *ticks(settings, _at(50))])
        wait_until(lambda: is_caught_up(topology), seconds=60, what="the orders are applied")
        assert _segments(topology) == {"High-CLV": 1}

        for day in range(80, 1200, 30):
            send(connected, ticks(settings, _at(day)))
        wait_until(lambda: is_caught_up(topology), seconds=60, what="the Ticks are applied")
        assert _segments(topology) == {"Low-CLV": 1}

        records = read_topic(connected, SEGMENT_CHANGES)
        changes = [msgspec.json.decode(record.value, type=SegmentChange) for record in records]
        falls = [(c.from_segment, c.to_segment, c.reason) for c in changes if c.as_of > _at(49)]
        assert falls == [
            ("High-CLV", "Growth-Potential", "silence"),
            ("Growth-Potential", "Low-CLV", "silence"),
        ]
        assert all(c.clv_after_minor < c.clv_before_minor for c in changes if c.as_of > _at(49))


def _at(day: int) -> str:
    return f"{START + timedelta(days=day):%Y-%m-%dT%H:%M:%SZ}"


def _segments(topology: Topology) -> dict[str | None, int]:
    return {total.segment: total.customers for total in segment_totals(topology.database)}
