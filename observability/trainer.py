"""What the trainer says of itself and of its models."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily

from clv.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from prometheus_client.core import Metric

DETECTORS = ("error:order", "error:silence", "input:order_value", "input:new_customers")
SWITCH_CAUSES = ("fitted", "error", "promote", "rollback", "unpin")
_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 900.0)


class TrainerMetrics:
    """The trainer's figures; those of its models are replaced whole after each step.

    Parameters
    ----------
    registry
        Where they are registered; one of their own by default.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = to = CollectorRegistry() if registry is None else registry
        self.champion = ""
        self.relative_errors: Mapping[str, float | None] = {}
        self.ratios: Mapping[str, float] = {}
        self.learned = Counter("clv_trainer_learned_examples", "Matured examples learned.", registry=to)
        self.unreadable = Counter("clv_trainer_unreadable_examples", "Examples that cannot be read.", registry=to)
        announcements = Counter("clv_trainer_announcements", "Announcements given out.", ("kind",), registry=to)
        self.models_announced = announcements.labels("model")
        self.budgets_announced = announcements.labels("budget")
        self.switches = Counter("clv_trainer_champion_switches", "Changes of who answers.", ("cause",), registry=to)
        self.alarms = Counter("clv_trainer_drift_alarms", "Alarms of drift, by detector.", ("detector",), registry=to)
        for cause in SWITCH_CAUSES:
            self.switches.labels(cause)  # there from the start: a rate needs the 0 before the first
        for detector in DETECTORS:
            self.alarms.labels(detector)
        self._seconds = Histogram(
            "clv_trainer_step_seconds",
            "Time to learn what a day brought, refit and store.",
            buckets=_SECONDS,
            registry=to,
        )
        self._retries = Counter("clv_trainer_store_retries", "Steps the database was unavailable for.", registry=to)
        self.learned_through = Gauge(
            "clv_trainer_learned_through_timestamp_seconds", "Event time it has learned through.", registry=to
        )
        to.register(_Models(self))

    @contextlib.contextmanager
    def step(self) -> Iterator[None]:
        """Time a step, or count it as one that will be taken again."""
        begun = time.perf_counter()
        try:
            yield
        except StoreUnavailable:
            self._retries.inc()
            raise
        self._seconds.observe(time.perf_counter() - begun)


class _Models:
    """Collects how good the models are."""

    def __init__(self, metrics: TrainerMetrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        """Yield the figures by model."""
        by = ["model"]
        error = GaugeMetricFamily(
            "clv_trainer_model_relative_error_ratio", "Recent error over the reference's; below 1 is better.", labels=by
        )
        ratio = GaugeMetricFamily(
            "clv_trainer_model_calibration_ratio", "Predicted over realised value so far; 1 is unbiased.", labels=by
        )
        champion = GaugeMetricFamily("clv_trainer_champion_info", "Which model answers: 1.", labels=by)
        for model, value in self._metrics.relative_errors.items():
            if value is not None:
                error.add_metric([model], value)
        for model, value in self._metrics.ratios.items():
            ratio.add_metric([model], value)
        if self._metrics.champion:
            champion.add_metric([self._metrics.champion], 1)
        yield from (error, ratio, champion)
