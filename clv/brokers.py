"""How a deployment's Kafka clients prove themselves: settings to the options that aiokafka and kafka-python share."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

from clv.errors import ConfigError

if TYPE_CHECKING:
    from clv.settings import Settings


def security_options(settings: Settings) -> dict[str, Any]:
    """Return the keyword arguments for TLS and SASL of a client of either library.

    Raises
    ------
    ConfigError
        The CA file cannot be read, or SASL is asked for without a user.
    """
    options: dict[str, Any] = {"security_protocol": settings.kafka_security_protocol}
    if settings.kafka_security_protocol.endswith("SSL"):
        options["ssl_context"] = _ssl_context(settings.kafka_ca_file)
    if settings.kafka_security_protocol.startswith("SASL"):
        if not settings.kafka_username:
            raise ConfigError(f"CLV_KAFKA_USERNAME is empty, and {settings.kafka_security_protocol} needs a user")
        options["sasl_mechanism"] = settings.kafka_sasl_mechanism
        options["sasl_plain_username"] = settings.kafka_username
        options["sasl_plain_password"] = settings.kafka_password
    return options


def _ssl_context(ca_file: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except OSError as problem:
        raise ConfigError(f"CLV_KAFKA_CA_FILE {ca_file!r} cannot be used: {problem}") from problem
