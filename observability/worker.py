"""What a worker says of itself. Everything is noted once a batch, or looked up when Prometheus asks: never by event."""

from __future__ import annotations

import time
from collections import Counter as Tally
from typing import TYPE_CHECKING, NamedTuple

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily

from clv.events import REJECTION_REASONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from prometheus_client.core import Metric

    from clv.watermark import Counts

OUTCOMES = {
    "applied": "applied",
    "duplicate": "duplicate",
    "dead": "dead",
    "erased": "erased",
    "tick": "ticks",
    "rescored": "rescored",
}
"""What becomes of a record, and where a partition's counts have it."""
STEPS = ("models", "process", "submit", "deliver")
_STEP_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_LATENCY_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0)
_SIZE_BUCKETS = (1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000)


class Standing(NamedTuple):
    """Where a partition stands: records on the broker not yet durable here, watermark in epoch ms, records held back.

    ``watermark_ms`` is None before the partition's first event.
    """

    lag: int
    watermark_ms: int | None
    waiting: int


class WorkerMetrics:
    """A worker's figures.

    Parameters
    ----------
    registry
        Where they are registered; one of their own by default.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = to = CollectorRegistry() if registry is None else registry
        self.standings: Mapping[int, Standing] = {}
        records = Counter("clv_worker_records", "Records taken, by what became of them.", ("outcome",), registry=to)
        self._records = {outcome: records.labels(outcome) for outcome in OUTCOMES}
        self._late = Counter("clv_worker_late_records", "Of those applied: behind the watermark.", registry=to)
        self._dead = Counter("clv_worker_dead_letters", "Records refused, by reason.", ("reason",), registry=to)
        for reason in REJECTION_REASONS:
            self._dead.labels(reason)  # there from the start: a rate needs the 0 before the first
        self._outputs = Counter("clv_worker_output_records", "Records produced.", registry=to)
        self._rows = Counter("clv_worker_changelog_rows", "Customers' rows that changed.", registry=to)
        self.adoptions = Counter("clv_worker_model_adoptions", "Newer models put in force, by partition.", registry=to)
        self.rewinds = Counter("clv_worker_rewinds", "Batches lost on the way and fetched again.", registry=to)
        self._sizes = Histogram("clv_worker_batch_records", "Batch size.", buckets=_SIZE_BUCKETS, registry=to)
        steps = Histogram(
            "clv_worker_step_seconds", "Time of a batch's steps.", ("step",), buckets=_STEP_BUCKETS, registry=to
        )
        self._steps = {step: steps.labels(step) for step in STEPS}
        self._latency = Histogram(
            "clv_worker_latency_seconds",
            "From a batch's oldest record's arrival on Kafka until its outputs are durable.",
            buckets=_LATENCY_BUCKETS,
            registry=to,
        )
        to.register(_Standings(self))

    def step(self, name: str) -> AbstractContextManager[object]:
        """Time a step of a batch, one of ``STEPS``."""
        return self._steps[name].time()

    def note_batch(self, before: Counts, after: Counts, *, outputs: int, rows: int) -> None:
        """Note a processed batch by the partition's counts before and after it."""
        for outcome, name in OUTCOMES.items():
            self._records[outcome].inc(getattr(after, name) - getattr(before, name))
        self._late.inc(after.late - before.late)
        self._sizes.observe(after.received - before.received)
        self._outputs.inc(outputs)
        self._rows.inc(rows)

    def note_dead(self, reasons: Iterable[str]) -> None:
        """Note refused records."""
        for reason, count in Tally(reasons).items():
            self._dead.labels(reason).inc(count)

    def note_durable(self, *, submitted_at: float, arrived_ms: int) -> None:
        """Note that a batch is durable: when it was submitted (``time.perf_counter``), and its oldest record's arrival.

        ``arrived_ms`` is Kafka's own timestamp, epoch milliseconds; negative where it has none.
        """
        self._steps["deliver"].observe(time.perf_counter() - submitted_at)
        if arrived_ms > 0:
            self._latency.observe(max(time.time() - arrived_ms / 1_000, 0.0))


class _Standings:
    """Collects where partitions stand; a new mapping replaces the last whole, so that none is shown half."""

    def __init__(self, metrics: WorkerMetrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        """Yield the figures by partition."""
        by = ["partition"]
        lag = GaugeMetricFamily("clv_worker_lag_records", "Records on the broker and not yet durable.", labels=by)
        delay = GaugeMetricFamily(
            "clv_worker_watermark_delay_seconds", "Now minus the watermark, which is event time.", labels=by
        )
        waiting = GaugeMetricFamily("clv_worker_waiting_records", "Records held back as far ahead.", labels=by)
        for partition, standing in sorted(self._metrics.standings.items()):
            place = [str(partition)]
            lag.add_metric(place, standing.lag)
            waiting.add_metric(place, standing.waiting)
            if standing.watermark_ms is not None:
                delay.add_metric(place, time.time() - standing.watermark_ms / 1_000)
        yield from (lag, delay, waiting)
