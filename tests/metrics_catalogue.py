"""Every metric that a process of ours can show, read out of the registries themselves."""

from __future__ import annotations

import tempfile
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from api.context import make_context
from api.routes.prometheus import Figures
from clv.settings import Settings
from observability.ads import AdsMetrics
from observability.serving import make_registry
from observability.sink import SinkMetrics
from observability.trainer import TrainerMetrics
from observability.worker import WorkerMetrics
from storage.engine import Database
from storage.schema import upgrade
from tests.contract.api.trading import fill

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from prometheus_client import CollectorRegistry

SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "info": ("_info",)}
ROLES = ("worker", "sink", "trainer", "ads", "api")


class Described(NamedTuple):
    """A metric as a query names it: the name of a counter ends in ``_total``, a histogram's has its parts after it."""

    name: str
    kind: str
    labels: tuple[str, ...]
    meaning: str


@contextmanager
def registries() -> Iterator[dict[str, CollectorRegistry]]:
    """Give each role's registry; the API's stands over a filled database."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'clv.db'}"
        upgrade(url)
        with closing(Database(url)) as database:
            fill(database)
            yield {
                "worker": WorkerMetrics(make_registry("worker")).registry,
                "sink": SinkMetrics(make_registry("sink")).registry,
                "trainer": TrainerMetrics(make_registry("trainer")).registry,
                "ads": AdsMetrics("file", make_registry("ads")).registry,
                "api": Figures(make_context(Settings(), database, lambda: 0.0)).registry,
            }


def catalogue() -> dict[str, list[Described]]:
    """Return each role's metrics, in the order of the registry, without those of the process (``process_…``)."""
    with registries() as found:
        return {role: list(_described(registry)) for role, registry in found.items()}


def samples(metric: Described) -> set[str]:
    """Return the names of the series that a metric has."""
    if metric.kind != "histogram":
        return {metric.name}
    return {metric.name + suffix for suffix in SUFFIXES[metric.kind]}


def _described(registry: CollectorRegistry) -> Iterable[Described]:
    for collector in list(registry._collector_to_names):
        for family in collector.collect():
            if family.name.startswith("process_"):
                continue
            labels = getattr(collector, "_labelnames", None) or getattr(family, "_labelnames", ())
            if family.type == "info":
                labels = list(family.samples[0].labels)
            name = family.name + (SUFFIXES[family.type][0] if family.type in ("counter", "info") else "")
            yield Described(name, family.type, tuple(labels or ()), family.documentation)
