"""The port of a role's metrics: there when asked for, gone afterwards, refused in words when it is taken."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request

import pytest

from clv.errors import ConfigError
from clv.settings import Settings
from observability.serving import make_registry, served
from observability.worker import WorkerMetrics


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def read(port: int) -> str:
    """Return what is served."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        return bytes(answer.read()).decode()


def test_a_role_answers_on_its_port_while_it_runs() -> None:
    """Its own figures, the process's and who it is are served, and nothing once it has ended."""
    port = free_port()
    metrics = WorkerMetrics(make_registry("worker"))
    with served(Settings(metrics_port=port), metrics.registry):
        text = read(port)
        metrics.rewinds.inc()
        assert "clv_worker_rewinds_total 1.0" in read(port)
    assert 'clv_role_info{role="worker",version="' in text
    assert "process_resident_memory_bytes " in text
    assert "clv_worker_rewinds_total 0.0" in text
    with pytest.raises(urllib.error.URLError):
        read(port)
    with served(Settings(metrics_port=port), metrics.registry):
        assert read(port)


def test_a_port_that_is_taken_is_refused_with_its_setting() -> None:
    """Whoever asked for metrics learns at the start that there are none."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"cannot be served on 127.0.0.1:{port}") as refused:
            served(Settings(metrics_port=port), make_registry("sink")).__enter__()
    assert "CLV_METRICS_PORT" in refused.value.hint


def test_nothing_listens_unless_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """By default no socket is opened."""
    monkeypatch.setattr("observability.serving.start_http_server", None)
    with served(Settings(), make_registry("worker")):
        pass


@pytest.mark.parametrize("port", [-1, 65_536])
def test_an_impossible_port_is_refused(port: int) -> None:
    """The settings name the variable."""
    with pytest.raises(ConfigError, match="CLV_METRICS_PORT"):
        Settings.from_env({"CLV_METRICS_PORT": str(port)})
