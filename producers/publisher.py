"""Events onto the orders topic, by kafka-python: every delivery is checked, nothing is lost without an error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, Self

from kafka import KafkaProducer
from kafka.codec import has_lz4, has_zstd
from kafka.errors import KafkaError

from clv.errors import BrokerError
from clv.money import minor_digits
from clv.topics import ORDERS
from producers.clients import client_settings, require_reachable
from producers.encode import encode_event, key_of, tick_event

if TYPE_CHECKING:
    from types import TracebackType

    from clv.events import CustomerEvent, RescoreAsked
    from clv.settings import Settings

MAX_IN_FLIGHT = 20_000
"""Records sent and not yet acknowledged, at most: what bounds the memory of a fast replay."""
_FLUSH_SECONDS = 60.0


class EventSink(Protocol):
    """Where producers put events; called from one thread, in the order in which the events are to arrive."""

    def send(self, event: CustomerEvent) -> None:
        """Hand over one customer's event; it is safe after the next ``flush``. A failure raises ``BrokerError``."""
        ...

    def tick(self, as_of_ms: int) -> None:
        """Tell every partition that time has come to ``as_of_ms``, behind the events sent before."""
        ...

    def flush(self) -> None:
        """Return once everything handed over is acknowledged; raise ``BrokerError`` if anything was not."""
        ...


class KafkaPublisher:
    """Publish events to the orders topic.

    Waits for all replicas (``acks=all``), idempotently, so that a retry neither doubles nor reorders. The partition is
    murmur2 of the key over all partitions, as Kafka's own clients and Faust choose it; Ticks name theirs.

    Parameters
    ----------
    currency
        The currency of the events' amounts.

    Raises
    ------
    BrokerError
        On construction when the broker does not answer or has no orders topic; later when a delivery failed.
    """

    def __init__(self, settings: Settings, *, currency: str, topic: str = ORDERS) -> None:
        self._currency = currency
        self._digits = minor_digits(currency)
        self._topic = topic
        self._sent = 0
        self._acknowledged = 0
        self._failure: BaseException | None = None
        self._producer = _connect(settings)
        self.partitions = self._find_partitions()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._producer.close(timeout=_FLUSH_SECONDS if kind is None else 0)
        except KafkaError as failure:
            if kind is None:
                raise BrokerError(f"records were not acknowledged: {failure}", "is the broker up?") from failure

    def send(self, event: CustomerEvent | RescoreAsked) -> None:
        """Send one customer's event, keyed by the customer."""
        self._send(encode_event(event, currency=self._currency, digits=self._digits), key=key_of(event))

    def tick(self, as_of_ms: int) -> None:
        """Send a Tick to every partition."""
        for partition in self.partitions:
            tick = tick_event(partition, as_of_ms)
            self._send(encode_event(tick, currency=self._currency, digits=self._digits), partition=partition)

    def flush(self) -> None:
        """Wait until every record is acknowledged."""
        try:
            self._producer.flush(timeout=_FLUSH_SECONDS)
        except KafkaError as problem:
            raise BrokerError(f"records were not acknowledged: {problem}", "is the broker up?") from problem
        self._check()
        if self._acknowledged < self._sent:
            raise BrokerError(f"{self._sent - self._acknowledged} records were not acknowledged", "is the broker up?")

    def _send(self, value: bytes, *, key: bytes | None = None, partition: int | None = None) -> None:
        self._check()
        if self._sent - self._acknowledged >= MAX_IN_FLIGHT:
            self.flush()
        try:
            future = self._producer.send(self._topic, value=value, key=key, partition=partition)
        except KafkaError as problem:
            raise BrokerError(f"a record was not accepted: {problem}", "is the broker up?") from problem
        # Called from the producer's own thread, which alone writes what they write.
        future.add_callback(self._on_delivered)
        future.add_errback(self._on_failed)
        self._sent += 1  # last, so that Ctrl-C in between cannot leave a record that seems never acknowledged

    def _find_partitions(self) -> list[int]:
        try:
            found = sorted(self._producer.partitions_for(self._topic) or ())
        except KafkaError:
            found = []
        if not found:
            self._producer.close(timeout=1)
            raise BrokerError(f"topic {self._topic} is not there", "a running worker creates it")
        return found

    def _check(self) -> None:
        if self._failure is not None:
            raise BrokerError(f"a record was not delivered: {self._failure}", "is the broker up?") from self._failure

    def _on_delivered(self, _metadata: Any) -> None:
        self._acknowledged += 1

    def _on_failed(self, problem: BaseException) -> None:
        self._failure = problem


def _connect(settings: Settings) -> KafkaProducer:
    config = client_settings(settings)
    require_reachable(settings)
    try:
        return KafkaProducer(
            **config,
            acks="all",
            enable_idempotence=True,
            compression_type="lz4" if has_lz4() else "zstd" if has_zstd() else None,
            linger_ms=20,
            batch_size=65_536,
            max_block_ms=15_000,
            allow_auto_create_topics=False,
        )
    except (KafkaError, OSError, ValueError) as problem:
        message = f"the broker at {settings.broker} cannot be used: {problem}"
        raise BrokerError(message, f"does it speak {settings.kafka_security_protocol}?") from problem
