"""Why a broker does not let us in: asked before a client that would try for long and say little."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Any, NamedTuple

from aiokafka.conn import create_conn
from aiokafka.errors import KafkaConnectionError, KafkaError

from clv.errors import BrokerError
from streams.clients import accepts_connections, aiokafka_settings, speaks_kafka

if TYPE_CHECKING:
    from clv.settings import Settings

_PATIENCE_SECONDS = 10.0


class _Refusal(NamedTuple):
    says: str
    hint: str


def require_access(settings: Settings) -> None:
    """Return once one of the bootstrap servers has let us in; blocking, and not to be called from a running loop.

    Raises
    ------
    BrokerError
        None does; says what the first one said, and which setting is likely to be wrong.
    ConfigError
        The settings for TLS or SASL cannot work.
    """
    options = aiokafka_settings(settings)
    servers = options.pop("bootstrap_servers")
    refusals = []
    for server in servers.split(","):
        refusal = _knock(server.strip(), options)
        if refusal is None:
            return
        refusals.append(refusal)
    raise BrokerError(*refusals[0])


def _knock(server: str, options: dict[str, Any]) -> _Refusal | None:
    if not accepts_connections(server):
        return _Refusal(f"no broker answers at {server}", "is it running, and is CLV_BROKER right?")
    if options["security_protocol"] == "PLAINTEXT":
        if speaks_kafka(server, timeout_seconds=_PATIENCE_SECONDS):
            return None
        hint = "does it ask for TLS? then set CLV_KAFKA_SECURITY_PROTOCOL to SSL or SASL_SSL"
        return _Refusal(f"{server} does not answer as a Kafka without TLS", hint)
    try:
        asyncio.run(_connect(server, options))
    except ssl.SSLCertVerificationError as problem:
        hint = "CLV_KAFKA_CA_FILE names the authority's certificate, CLV_BROKER a host that the broker's is made for"
        return _Refusal(f"the certificate of {server} is not trusted: {problem.verify_message}", hint)
    except ssl.SSLError as problem:
        return _Refusal(f"{server} does not speak TLS: {problem.reason}", "is CLV_KAFKA_SECURITY_PROTOCOL right?")
    except (OSError, TimeoutError, KafkaConnectionError) as problem:
        hint = "is CLV_KAFKA_SECURITY_PROTOCOL right?"
        return _Refusal(f"{server} breaks the connection off: {str(problem) or type(problem).__name__}", hint)
    except KafkaError as problem:
        said = " ".join(str(problem).split())
        hint = "are CLV_KAFKA_USERNAME, CLV_KAFKA_PASSWORD and CLV_KAFKA_SASL_MECHANISM right?"
        return _Refusal(f"{server} does not let {options.get('sasl_plain_username', 'us')!r} in: {said}", hint)
    return None


async def _connect(server: str, options: dict[str, Any]) -> None:
    host, _, port = server.rpartition(":")
    async with asyncio.timeout(_PATIENCE_SECONDS):
        connection = await create_conn(host.strip("[]"), int(port), client_id="clv-access", **options)
        await connection.close()
