"""A role's registry, and the port on which Prometheus reads it; off unless ``CLV_METRICS_PORT`` says which."""

from __future__ import annotations

import contextlib
import importlib.metadata
from typing import TYPE_CHECKING

import structlog
from prometheus_client import CollectorRegistry, Info, ProcessCollector, start_http_server

from clv.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clv.settings import Settings

log = structlog.get_logger(__name__)


def make_registry(role: str) -> CollectorRegistry:
    """Return a role's registry, with the process's own figures (``process_…``) and who it is."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    who = Info("clv_role", "Which role this process has, and of which build it is.", registry=registry)
    who.info({"role": role, "version": importlib.metadata.version("clv-scorer")})
    return registry


@contextlib.contextmanager
def served(settings: Settings, registry: CollectorRegistry) -> Iterator[None]:
    """Answer ``GET /metrics`` from a thread of its own while the block runs; do nothing where no port is set.

    Raises
    ------
    ConfigError
        When the port cannot be listened on: a role nobody can watch should not look as if it could.
    """
    if not settings.metrics_port:
        yield
        return
    host, port = settings.metrics_host, settings.metrics_port
    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as problem:
        raise ConfigError(
            f"the metrics cannot be served on {host}:{port}: {problem.strerror or problem}",
            "set CLV_METRICS_PORT to another port for each process, or to 0 for none",
        ) from problem
    log.info("metrics served", url=f"http://{f'[{host}]' if ':' in host else host}:{port}/metrics")
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
