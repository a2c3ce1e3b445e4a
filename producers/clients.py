"""Settings that every kafka-python client of the producers shares: where the brokers are and how to talk to them."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, Any

from clv.brokers import security_options
from clv.errors import BrokerError, ConfigError

if TYPE_CHECKING:
    from clv.settings import Settings

_CONNECT_SECONDS = 5.0


def client_settings(settings: Settings) -> dict[str, Any]:
    """Return the connection part of a kafka-python client's configuration.

    Raises
    ------
    ConfigError
        When no broker is set: a producer needs one that runs; or TLS and SASL are set up wrongly.
    """
    if not settings.broker:
        raise ConfigError("no broker is set", "set CLV_BROKER=host:port, or give --broker host:port")
    return {
        "bootstrap_servers": settings.broker.split(","),
        "client_id": f"{settings.group}-producer",
        "bootstrap_timeout_ms": 10_000,
        **security_options(settings),
    }


def require_reachable(settings: Settings) -> None:
    """Refuse at once when no bootstrap server takes a connection.

    A kafka-python client would try for its whole timeout, and leave its sockets open when it fails.

    Raises
    ------
    BrokerError
        Naming the addresses that were tried.
    """
    for address in settings.broker.split(","):
        host, _, port = address.strip().rpartition(":")
        with (
            contextlib.suppress(OSError, ValueError),
            socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_SECONDS),
        ):
            return
    raise BrokerError(f"no broker answers at {settings.broker}", "is it up, and the address right?")
