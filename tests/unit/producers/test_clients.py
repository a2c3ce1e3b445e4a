"""Connection settings of the producers' clients."""

from __future__ import annotations

import ssl

import pytest

from clv.errors import ConfigError
from clv.settings import Settings
from producers.clients import client_settings


def test_plain_text_needs_only_the_brokers() -> None:
    """Every bootstrap server is tried."""
    found = client_settings(Settings(broker="a:1,b:2"))
    assert found["bootstrap_servers"] == ["a:1", "b:2"]
    assert "sasl_mechanism" not in found


def test_tls_and_sasl_are_passed_on() -> None:
    """As every client of the deployment has them."""
    found = client_settings(
        Settings(
            broker="a:1",
            kafka_security_protocol="SASL_SSL",
            kafka_sasl_mechanism="SCRAM-SHA-256",
            kafka_username="u",
            kafka_password="p",
        )
    )
    names = ("security_protocol", "sasl_mechanism", "sasl_plain_username", "sasl_plain_password")
    assert [found[name] for name in names] == ["SASL_SSL", "SCRAM-SHA-256", "u", "p"]
    assert found["ssl_context"].verify_mode == ssl.CERT_REQUIRED


def test_without_a_broker_there_is_no_client() -> None:
    """The hint says how to name one."""
    with pytest.raises(ConfigError) as caught:
        client_settings(Settings())
    assert "CLV_BROKER" in caught.value.hint
