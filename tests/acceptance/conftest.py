"""What every acceptance test needs."""

from __future__ import annotations

import pytest

from streams.kafka_server import free_ports


@pytest.fixture(autouse=True)
def _ports_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each deployment's API a port of its own: two that start at once would both find the default one free."""
    monkeypatch.setattr("cli.topology._free_port", lambda _host, _wanted: free_ports(1)[0])
