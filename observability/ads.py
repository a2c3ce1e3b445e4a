"""What the ads role says of itself: what it told the platform, and what came of it."""

from __future__ import annotations

from collections import Counter as Tally
from typing import TYPE_CHECKING, NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

if TYPE_CHECKING:
    from collections.abc import Iterable

CHANGES = ("added", "updated", "removed")
STATUSES = ("ready", "waiting", "asks", "refused", "failed")
DONE = "done"
_SECONDS = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3_600.0)


class Told(NamedTuple):
    """What became of one audience: how it stands (one of ``STATUSES``), and the rows that the platform took."""

    status: str
    added: int
    updated: int
    removed: int


class AdsMetrics:
    """The ads role's figures.

    Parameters
    ----------
    platform
        Where audiences go; a label, since an alarm should say who refuses.
    registry
        Where they are registered; one of their own by default.
    """

    def __init__(self, platform: str, registry: CollectorRegistry | None = None) -> None:
        self.registry = to = CollectorRegistry() if registry is None else registry
        self._platform = platform
        self.followed = Counter("clv_ads_followed_records", "Scores and segment changes read.", registry=to)
        self._runs = Counter(
            "clv_ads_synchronisations",
            "Synchronisations: done, or the reason why not.",
            ("platform", "outcome"),
            registry=to,
        )
        self._runs.labels(platform, DONE)
        rows = Counter("clv_ads_audience_rows", "Rows the platform took.", ("platform", "change"), registry=to)
        self._rows = {change: rows.labels(platform, change) for change in CHANGES}
        stands = Gauge("clv_ads_audiences", "Audiences by how they stood last.", ("platform", "status"), registry=to)
        self._stands = {status: stands.labels(platform, status) for status in STATUSES}
        self.conversions = Counter("clv_ads_conversions", "First purchases the platform took.", registry=to)
        self.seconds = Histogram(
            "clv_ads_synchronisation_seconds", "Time of a synchronisation.", buckets=_SECONDS, registry=to
        )
        self._done_at = Gauge(
            "clv_ads_last_synchronisation_timestamp_seconds", "When one last came to its end.", registry=to
        )

    def note_done(self, told: Iterable[Told]) -> None:
        """Note a synchronisation that came to its end, whatever became of single audiences."""
        told = list(told)
        for change in CHANGES:
            self._rows[change].inc(sum(getattr(each, change) for each in told))
        counts = Tally(each.status for each in told)
        for status, gauge in self._stands.items():
            gauge.set(counts[status])
        self._runs.labels(self._platform, DONE).inc()
        self._done_at.set_to_current_time()

    def note_failed(self, reason: str) -> None:
        """Note one that did not, by the error's stable ``reason``."""
        self._runs.labels(self._platform, reason).inc()
