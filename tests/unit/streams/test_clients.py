"""Client settings follow the deployment's settings."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from typing import TYPE_CHECKING

import pytest

from clv.errors import BrokerError, ConfigError
from clv.settings import Settings
from streams.clients import BROKER_FILE, accepts_connections, aiokafka_settings, bootstrap, speaks_kafka

if TYPE_CHECKING:
    from pathlib import Path


def test_plaintext_needs_only_the_address() -> None:
    """Without TLS or SASL the clients get the servers and the protocol alone."""
    settings = Settings(broker="kafka-1:9092,kafka-2:9092")

    found = aiokafka_settings(settings)

    assert found == {"bootstrap_servers": "kafka-1:9092,kafka-2:9092", "security_protocol": "PLAINTEXT"}


def test_sasl_over_tls_passes_user_and_context() -> None:
    """SASL_SSL gives the clients the mechanism, the user and a context that checks certificates."""
    settings = Settings(
        broker="k:9093",
        kafka_security_protocol="SASL_SSL",
        kafka_sasl_mechanism="SCRAM-SHA-512",
        kafka_username="scorer",
        kafka_password="secret",
    )

    found = aiokafka_settings(settings)

    assert found.pop("ssl_context").verify_mode == ssl.CERT_REQUIRED
    assert found == {
        "bootstrap_servers": "k:9093",
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "scorer",
        "sasl_plain_password": "secret",
    }


def test_sasl_without_a_user_is_refused() -> None:
    """SASL without CLV_KAFKA_USERNAME names that variable."""
    with pytest.raises(ConfigError, match="CLV_KAFKA_USERNAME"):
        aiokafka_settings(Settings(broker="k:9093", kafka_security_protocol="SASL_PLAINTEXT"))


def test_an_unreadable_ca_file_is_refused() -> None:
    """A CA file that is not there names its variable."""
    settings = Settings(broker="k:9093", kafka_security_protocol="SSL", kafka_ca_file="/nowhere/ca.pem")

    with pytest.raises(ConfigError, match="CLV_KAFKA_CA_FILE"):
        aiokafka_settings(settings)


@pytest.mark.parametrize("content", [None, "", "not json", "[1]"], ids=["absent", "empty", "no JSON", "a list"])
def test_no_broker_file_says_how_to_start_one(content: str | None, tmp_path: Path) -> None:
    """Without a usable broker.json the error's hint names the command that starts a broker."""
    if content is not None:
        (tmp_path / BROKER_FILE).write_text(content)

    with pytest.raises(BrokerError) as caught:
        bootstrap(Settings(data_dir=tmp_path))

    assert "clv up" in caught.value.hint


def test_a_stale_broker_file_is_noticed(tmp_path: Path) -> None:
    """An address where nobody listens any more is an error that says so."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    (tmp_path / BROKER_FILE).write_text(json.dumps({"address": address}))

    with pytest.raises(BrokerError, match="does not answer"):
        bootstrap(Settings(data_dir=tmp_path))


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request"], ids=["hangs up", "speaks HTTP"])
def test_a_listener_that_is_no_broker_is_told_apart(answer: bytes) -> None:
    """Something that listens but speaks no Kafka accepts connections, and is no broker."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"

        def serve() -> None:
            for reply in (b"", answer):
                with listener.accept()[0] as connection:
                    connection.sendall(reply)

        server = threading.Thread(target=serve)
        server.start()

        assert accepts_connections(address) is True
        assert speaks_kafka(address) is False
        server.join()


@pytest.mark.parametrize("address", ["", "host", "127.0.0.1:not-a-port", "127.0.0.1:99999999"])
def test_a_malformed_address_has_no_broker(address: str) -> None:
    """An address that cannot be parsed is answered with no, not with an exception."""
    assert speaks_kafka(address) is False
    assert accepts_connections(address) is False
