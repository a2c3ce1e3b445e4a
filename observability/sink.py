"""What a sink says of itself."""

from __future__ import annotations

import contextlib
import time
from collections import Counter as Tally
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from clv.errors import StoreUnavailable
from clv.events import REJECTION_REASONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

OTHER = "other"
"""Reason of a dead letter whose own reason is none of ours: somebody else wrote it."""
LAGS = ("orders", "outputs")
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0)
_SIZES = (1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000)


class SinkMetrics:
    """A sink's figures.

    Parameters
    ----------
    registry
        Where they are registered; one of their own by default.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = to = CollectorRegistry() if registry is None else registry
        self._records = Counter("clv_sink_stored_records", "Records stored in SQL.", ("topic",), registry=to)
        dead = Counter(
            "clv_sink_dead_letters",
            "Dead letters stored: refused by a worker (source orders), or by the sink itself (source outputs).",
            ("source", "reason"),
            registry=to,
        )
        self._dead = {reason: dead.labels("orders", reason) for reason in (*REJECTION_REASONS, OTHER)}
        self._unstorable = dead.labels("outputs", "undecodable")
        self._sizes = Histogram("clv_sink_batch_records", "Records of a transaction.", buckets=_SIZES, registry=to)
        self._seconds = Histogram(
            "clv_sink_write_seconds", "Time of a transaction that was stored.", buckets=_SECONDS, registry=to
        )
        self._retries = Counter("clv_sink_store_retries", "Writes that the database was unavailable for.", registry=to)
        self.conflicts = Counter("clv_sink_store_conflicts", "Writes that another sink was ahead of.", registry=to)
        self._written_at = Gauge("clv_sink_last_write_timestamp_seconds", "When it last stored anything.", registry=to)
        lag = Gauge("clv_sink_lag_records", "Records that SQL does not show yet.", ("what",), registry=to)
        self._lag = {what: lag.labels(what) for what in LAGS}
        self._learning = Gauge(
            "clv_sink_learning_lag_seconds", "Event time that the trainer is behind the slowest partition.", registry=to
        )

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Time an attempt to store a batch, or count it as one that will be made again."""
        begun = time.perf_counter()
        try:
            yield
        except StoreUnavailable:
            self._retries.inc()
            raise
        self._seconds.observe(time.perf_counter() - begun)

    def note_stored(self, topics: Iterable[str], *, refused: Iterable[str], unstorable: int) -> None:
        """Note a stored transaction.

        Parameters
        ----------
        topics
            The topic of each record.
        refused
            Reasons of the workers' dead letters among them.
        unstorable
            Records that the sink itself could not read.
        """
        counts = Tally(topics)
        for topic, count in counts.items():
            self._records.labels(topic).inc(count)
        for reason, count in Tally(refused).items():
            self._dead.get(reason, self._dead[OTHER]).inc(count)
        self._unstorable.inc(unstorable)
        self._sizes.observe(counts.total())
        self._written_at.set_to_current_time()

    def note_lag(self, *, orders: int, outputs: int, learning_days: int) -> None:
        """Note how far everyone is behind: records, and event-days."""
        self._lag["orders"].set(orders)
        self._lag["outputs"].set(outputs)
        self._learning.set(learning_days * 86_400)
