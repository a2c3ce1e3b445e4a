"""How every Kafka client of ours reaches the broker: address, TLS, SASL; and whether a broker answers there."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
from typing import TYPE_CHECKING, Any

from clv.brokers import security_options
from clv.errors import BrokerError

if TYPE_CHECKING:
    from pathlib import Path

    from clv.settings import Settings

BROKER_FILE = "broker.json"
"""Name of the file in the data directory that says where its embedded broker listens."""

_API_VERSIONS_REQUEST = struct.pack(">ihhih", 10, 18, 0, 1, -1)
_START_HINT = "start it with: clv up, or set CLV_BROKER to your Kafka's host:port"


def aiokafka_settings(settings: Settings) -> dict[str, Any]:
    """Return the keyword arguments that every aiokafka client takes; kafka-python's names are the same.

    Raises
    ------
    BrokerError
        No embedded broker runs for the data directory.
    ConfigError
        The CA file cannot be read, or SASL is asked for without a user.
    """
    return {"bootstrap_servers": bootstrap(settings), **security_options(settings)}


def bootstrap(settings: Settings) -> str:
    """Return the bootstrap servers, ``host:port,…``: as set, else the embedded broker of the data directory.

    Raises
    ------
    BrokerError
        No embedded broker was started for the data directory, or it no longer answers.
    """
    if settings.broker:
        return settings.broker
    address = embedded_address(settings.data_dir)
    if not address:
        raise BrokerError(f"no embedded broker was started for {settings.data_dir}", _START_HINT)
    if not speaks_kafka(address):
        raise BrokerError(f"the embedded broker at {address} does not answer", _START_HINT)
    return address


def embedded_address(data_dir: Path) -> str:
    """Return where the data directory's embedded broker listens or last listened; empty if there never was one."""
    try:
        found = json.loads((data_dir / BROKER_FILE).read_text())
    except (OSError, ValueError):
        return ""
    return str(found.get("address", "")) if isinstance(found, dict) else ""


def speaks_kafka(address: str, *, timeout_seconds: float = 2.0) -> bool:
    """Tell whether a plaintext Kafka listener answers at ``host:port``.

    Sends an ApiVersions request of version 0, which every broker answers before authentication.
    """
    host, _, port = address.rpartition(":")
    with contextlib.suppress(OSError, ValueError, struct.error):
        with socket.create_connection((host.strip("[]"), int(port)), timeout=timeout_seconds) as connection:
            connection.sendall(_API_VERSIONS_REQUEST)
            header = connection.recv(8, socket.MSG_WAITALL)
        size, correlation_id = struct.unpack(">ii", header)
        return bool(size > 4 and correlation_id == 1)
    return False


def accepts_connections(address: str, *, timeout_seconds: float = 2.0) -> bool:
    """Tell whether anything listens at ``host:port``, whatever it speaks (TLS too)."""
    host, _, port = address.rpartition(":")
    with (
        contextlib.suppress(OSError, ValueError),
        socket.create_connection((host.strip("[]"), int(port)), timeout=timeout_seconds),
    ):
        return True
    return False
