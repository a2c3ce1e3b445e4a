"""What a worker notes of its batches, in figures and in log lines."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from clv.testing import order
from observability.worker import Standing, WorkerMetrics
from streams.refusals import MOST_LINES
from tests.unit.streams.producer_fake import FakeProducer, turns
from tests.unit.streams.worker_fake import Fetched, NumberedModels, TableStore, orders, runner

if TYPE_CHECKING:
    from collections.abc import Sequence

DAY = 86_400
SECRET = "somebody@example.org"


def rubbish(count: int, *, first: int) -> list[Fetched]:
    """Make records that are no events, with something in them that nobody should log."""
    return [Fetched(n, SECRET.encode(), f'{{"customer_id": "{SECRET}"'.encode()) for n in range(first, first + count)]


def figures_after(*batches: Sequence[Fetched]) -> WorkerMetrics:
    """Return a worker's figures after it took batches of partition 0, all durable."""
    metrics = WorkerMetrics()

    async def scene() -> None:
        one = runner(TableStore(), FakeProducer(is_prompt=True), NumberedModels(1), metrics=metrics)
        for batch in batches:
            await one.take(0, list(batch), lambda: None)
        await turns()
        await one.forget()

    asyncio.run(scene())
    return metrics


def value(metrics: WorkerMetrics, name: str, **labels: str) -> float:
    """Return a sample's value."""
    found = metrics.registry.get_sample_value(name, labels)
    assert found is not None, name
    return found


def test_every_record_is_counted_once_by_what_became_of_it() -> None:
    """Ten orders, the first two again, one long gone by, and rubbish: outcomes and reasons add up to what came."""
    taken = orders(10)
    repeated = [record._replace(offset=10 + number) for number, record in enumerate(taken[:2])]
    old = [Fetched(12, *order("c9", "o-old", 10 * DAY, "1.00"))]
    metrics = figures_after(taken, repeated + old + rubbish(3, first=13))

    outcomes = {
        name: value(metrics, "clv_worker_records_total", outcome=name) for name in ("applied", "duplicate", "dead")
    }
    assert outcomes == {"applied": 10, "duplicate": 2, "dead": 4}
    reasons = {
        name: value(metrics, "clv_worker_dead_letters_total", reason=name) for name in ("undecodable", "too_late")
    }
    assert reasons == {"undecodable": 3, "too_late": 1}
    assert value(metrics, "clv_worker_model_adoptions_total") == 1
    assert value(metrics, "clv_worker_output_records_total") > 10


def test_steps_are_timed_by_slice_and_not_by_record() -> None:
    """Of ten records in slices of four, three slices are timed in each step, and their sizes add up."""
    metrics = figures_after(orders(10))

    counts = {
        s: value(metrics, "clv_worker_step_seconds_count", step=s) for s in ("models", "process", "submit", "deliver")
    }
    assert counts == {"models": 3, "process": 3, "submit": 3, "deliver": 3}
    assert value(metrics, "clv_worker_batch_records_count") == 3
    assert value(metrics, "clv_worker_batch_records_sum") == 10


def test_latency_is_counted_from_kafkas_timestamp() -> None:
    """It runs from when the oldest record came; a record without a timestamp says nothing."""
    came = round(time.time() * 1000) - 60_000
    metrics = figures_after([record._replace(timestamp=came) for record in orders(4)], orders(4, first=4))

    assert value(metrics, "clv_worker_latency_seconds_count") == 1
    assert value(metrics, "clv_worker_latency_seconds_sum") == pytest.approx(60, abs=30)


def test_a_refused_record_is_logged_with_its_place_and_event_id_and_nothing_of_its_content() -> None:
    """Reason, topic, partition, offset and the dead letter's id: enough to find it, and no word of what was sent."""
    with capture_logs() as lines:
        figures_after(rubbish(1, first=7))

    (line,) = lines
    assert (
        line.items()
        >= {
            "event": "record refused",
            "reason": "undecodable",
            "topic": "clv.orders.v1",
            "partition": 0,
            "offset": 7,
        }.items()
    )
    assert len(line["event_id"]) == 32
    assert SECRET not in repr(lines)


def test_a_flood_of_rubbish_is_no_flood_of_lines() -> None:
    """Of a batch with more refused records than are told one by one, the rest is counted."""
    count = MOST_LINES + 5
    metrics = WorkerMetrics()

    async def scene() -> None:
        one = runner(TableStore(), FakeProducer(is_prompt=True), NumberedModels(), metrics=metrics, batch_records=100)
        await one.take(0, list(rubbish(count, first=0)), lambda: None)
        await one.forget()

    with capture_logs() as lines:
        asyncio.run(scene())
    assert [line["event"] for line in lines] == ["record refused"] * MOST_LINES + ["more records refused"]
    assert (lines[-1]["reasons"], lines[-1]["first"], lines[-1]["last"]) == ({"undecodable": 5}, MOST_LINES, count - 1)
    assert value(metrics, "clv_worker_dead_letters_total", reason="undecodable") == count


def test_partitions_that_went_elsewhere_are_not_shown_any_more() -> None:
    """What is shown is what was noted last, whole; the delay grows with the clock, and is left out while unknown."""
    metrics = WorkerMetrics()
    metrics.standings = {0: Standing(7, round(time.time() * 1000) - 5_000, 2), 1: Standing(1, None, 0)}
    assert value(metrics, "clv_worker_lag_records", partition="0") == 7
    assert value(metrics, "clv_worker_waiting_records", partition="0") == 2
    assert value(metrics, "clv_worker_watermark_delay_seconds", partition="0") == pytest.approx(5, abs=3)
    assert metrics.registry.get_sample_value("clv_worker_watermark_delay_seconds", {"partition": "1"}) is None

    metrics.standings = {1: Standing(0, None, 0)}
    assert metrics.registry.get_sample_value("clv_worker_lag_records", {"partition": "0"}) is None
