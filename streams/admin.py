"""Questions to the broker's administration: a client whose errors are ours, and how far consumer groups lag."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import tenacity

from clv.errors import BrokerError
from streams.access import require_access
from streams.clients import aiokafka_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kafka.admin import KafkaAdminClient

    from clv.settings import Settings

_REACH_TIMEOUT_MS = 10_000
_COORDINATOR_TIMEOUT_SECONDS = 10.0


@contextlib.contextmanager
def admin_client(settings: Settings) -> Iterator[KafkaAdminClient]:
    """Open an admin client; blocking. Errors of Kafka's leave as ``BrokerError``, with the broker's words.

    Raises
    ------
    BrokerError
        The broker cannot be reached, or a request inside the block failed.
    """
    from kafka.admin import KafkaAdminClient  # noqa: PLC0415  # a fifth of a second that no batch should wait for
    from kafka.errors import KafkaError  # noqa: PLC0415  # as above

    options = aiokafka_settings(settings)
    servers = options["bootstrap_servers"]
    hint = "is it running, and is CLV_BROKER right?"
    # A client that fails to connect leaves its thread and sockets behind, and says nothing of why: look first.
    require_access(settings)
    try:
        client = KafkaAdminClient(**options, client_id="clv-admin", bootstrap_timeout_ms=_REACH_TIMEOUT_MS)
        try:
            yield client
        finally:
            client.close()
    except KafkaError as problem:
        raise BrokerError(f"the broker at {servers} refused: {type(problem).__name__} {problem}", hint) from problem


def group_lag(settings: Settings, *, group: str, topic: str) -> dict[int, int]:
    """Return how many records a consumer group has yet to read, by partition; blocking.

    A partition without a committed offset counts from its first record. Transaction markers and compacted records
    count as records: a group that has read everything may show a lag of one for each transaction.

    Raises
    ------
    BrokerError
        The broker cannot be reached or the topic does not exist.
    """
    from kafka import TopicPartition  # noqa: PLC0415  # with the client, see above
    from kafka.admin import OffsetSpec  # noqa: PLC0415  # as above

    with admin_client(settings) as admin:
        described = [found for found in admin.describe_topics([topic]) if not found["error_code"]]
        if not described:
            raise BrokerError(f"topic {topic} does not exist", "create it with: clv topics --create")
        indices = sorted(part["partition_index"] for part in described[0]["partitions"])
        partitions = [TopicPartition(topic, index) for index in indices]
        ends = admin.list_partition_offsets(dict.fromkeys(partitions, OffsetSpec.LATEST))
        starts = admin.list_partition_offsets(dict.fromkeys(partitions, OffsetSpec.EARLIEST))
        # A new cluster makes its offsets topic when the first group is asked for, and answers "not yet" meanwhile.
        ask = tenacity.Retrying(
            stop=tenacity.stop_after_delay(_COORDINATOR_TIMEOUT_SECONDS),
            wait=tenacity.wait_fixed(0.2),
            retry=tenacity.retry_if_exception(lambda problem: bool(getattr(problem, "retriable", False))),
            reraise=True,
        )
        committed = ask(admin.list_group_offsets, {group: partitions}).get(group, {})
    lag = {}
    for partition in partitions:
        position = committed[partition].offset if partition in committed else -1
        lag[partition.partition] = ends[partition].offset - max(position, starts[partition].offset)
    return lag
