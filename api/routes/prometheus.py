"""Figures for Prometheus: the API's own requests, and what the store says of the system."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from starlette.concurrency import run_in_threadpool

from api.overview import health_of, summary_of
from api.problems import documented
from api.security import require
from clv.errors import ScorerError
from storage.audiences import list_stands

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.core import Metric
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from api.context import Context
    from api.schemas.overview import Lag

router = APIRouter(tags=["probes"])
_BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0, 5.0)


class Figures:
    """The registry of a process: counts of its requests, and a collector that asks the store when it is read."""

    def __init__(self, context: Context) -> None:
        self.registry = CollectorRegistry()
        labels = ("method", "path", "status")
        self.requests = Counter("clv_api_requests", "Requests answered.", labels, registry=self.registry)
        self.seconds = Histogram(
            "clv_api_request_seconds", "Time to answer.", ("path",), buckets=_BUCKETS, registry=self.registry
        )
        self.registry.register(_Stored(context))

    def text(self) -> bytes:
        """Return all figures in Prometheus's text format."""
        return generate_latest(self.registry)


class _Stored:
    """Collects what the store says; one that does not answer leaves ``clv_database_up`` at 0 and the rest out."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def collect(self) -> Iterator[Metric]:
        """Yield the figures."""
        try:
            summary, health = summary_of(self._context), health_of(self._context)
        except ScorerError:
            # Who may read the figures is known for a moment after the database has gone; then the answer is 503.
            yield GaugeMetricFamily("clv_database_up", "Whether the database answers.", value=0)
            return
        yield GaugeMetricFamily("clv_database_up", "Whether the database answers.", value=1)
        yield GaugeMetricFamily("clv_customers", "Customers with a score.", value=summary.customers)
        yield GaugeMetricFamily("clv_predicted_value", "Total CLV, major units.", value=summary.total_clv)
        rate = summary.orders_per_minute / 60
        yield GaugeMetricFamily("clv_orders_per_second", "Orders applied lately, as stored.", value=rate)
        yield GaugeMetricFamily("clv_dead_letters", "Records that could not be applied.", value=summary.dead_letters)
        if summary.freshness_seconds is not None:
            age = summary.freshness_seconds
            yield GaugeMetricFamily("clv_freshness_seconds", "Since the sink last stored anything.", value=age)
        yield from _lag(health.lag)
        roles = GaugeMetricFamily("clv_role_up", "Whether a process was seen lately.", labels=["role", "instance"])
        for role in health.roles:
            roles.add_metric([role.role, role.instance], float(role.is_alive))
        yield roles
        yield from _audiences(self._context)


def _lag(found: Lag) -> Iterator[Metric]:
    """Yield how far roles are behind, as the sink measured it; what nobody has measured lately is left out."""
    records = GaugeMetricFamily("clv_lag_records", "Records that SQL does not show yet.", labels=["what"])
    for what, value in (("orders", found.orders), ("outputs", found.outputs)):
        if value is not None:
            records.add_metric([what], value)
    learning = GaugeMetricFamily("clv_learning_lag_seconds", "Event time that is not learned yet.")
    if found.days_to_learn is not None:
        learning.add_metric([], found.days_to_learn * 86_400)
    yield from (records, learning)


def _audiences(context: Context) -> Iterator[Metric]:
    """Yield where the audiences stand that were ever delivered."""
    labels = ["platform", "audience"]
    present = GaugeMetricFamily("clv_audience_members", "Members that the platform has taken.", labels=labels)
    rejected = GaugeMetricFamily("clv_audience_rejected", "Customers who belong and are not there.", labels=labels)
    ready = GaugeMetricFamily("clv_audience_ready", "Whether it is as the scores want it.", labels=labels)
    synced = GaugeMetricFamily("clv_audience_synced_timestamp_seconds", "When it last was so.", labels=labels)
    for stand in list_stands(context.database):
        counts, place = json.loads(stand.counts), [stand.platform, stand.name]
        present.add_metric(place, counts.get("present", 0))
        rejected.add_metric(place, sum(counts.get("rejected", {}).values()) + counts.get("unexplained", 0))
        ready.add_metric(place, float(stand.status == "ready"))
        if stand.synced_ms >= 0:
            synced.add_metric(place, stand.synced_ms / 1_000)
    yield from (present, rejected, ready, synced)


class Counting:
    """ASGI middleware that counts requests by route, never by the path asked for: ids would be labels without end."""

    def __init__(self, app: ASGIApp, *, figures: Figures) -> None:
        self._app = app
        self._figures = figures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and note its status and time."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, status = time.perf_counter(), 500

        async def noted(message: Message) -> None:
            """Note the status as it goes out."""
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            route = scope.get("route")
            path = getattr(route, "path", "other")
            self._figures.requests.labels(scope["method"], path, str(status)).inc()
            if path != "/api/stream":
                self._figures.seconds.labels(path).observe(time.perf_counter() - begun)


@router.get(
    "/metrics",
    response_class=Response,
    responses={**documented(), 200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    dependencies=[require("read")],
)
async def prometheus(request: Request) -> Response:
    """Give figures in Prometheus's text format."""
    figures: Figures = request.app.state.figures
    return Response(await run_in_threadpool(figures.text), media_type=CONTENT_TYPE_LATEST)
