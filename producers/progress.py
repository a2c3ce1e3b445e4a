"""How far workers and the scorer have come, as their topics tell it: the source of ``producers.pace.LeadPace``."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Self

import msgspec
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from clv.errors import BrokerError
from clv.events import parse_time_ms
from clv.outcomes import UNREADABLE, ModelAnnounced, WatermarkPassed
from clv.topics import MODELS, TRAINING_EXAMPLES
from producers.clients import client_settings
from producers.pace import Progress

if TYPE_CHECKING:
    from types import TracebackType

    from clv.settings import Settings

_watermark_decoder = msgspec.json.Decoder(WatermarkPassed)
_model_decoder = msgspec.json.Decoder(ModelAnnounced)
# The tag is the first field that is written: examples, the bulk of the topic, are told apart without decoding.
_TAG_BYTES = 64
_TAIL_RECORDS = 100


class TopicProgress:
    """Follow the watermarks and the scorer's announcements from now on.

    Reads without a consumer group, so that nothing needs to be joined or committed.

    Raises
    ------
    BrokerError
        When the broker does not answer, or a topic is not there.
    """

    def __init__(self, settings: Settings) -> None:
        try:
            self._consumer = KafkaConsumer(
                **client_settings(settings),
                group_id=None,
                enable_auto_commit=False,
                auto_offset_reset="latest",
                check_crcs=False,  # in pure Python they cost more than all the rest, and nothing is kept of this
                max_poll_records=5_000,
            )
            self.partitions = len(self._assign())
        except KafkaError as problem:
            raise BrokerError(f"progress cannot be followed: {problem}", "is the broker up?") from problem

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()

    def poll(self, timeout_seconds: float) -> list[Progress]:
        """Return the news of the topics."""
        try:
            self._skip_ahead()
            polled: dict[Any, list[Any]] = self._consumer.poll(timeout_ms=round(timeout_seconds * 1000))
        except KafkaError as problem:
            raise BrokerError(f"progress cannot be followed: {problem}", "is the broker up?") from problem
        return [
            progress
            for where, records in polled.items()
            for record in records
            if (progress := read_progress(where.topic, record.value)) is not None
        ]

    def _skip_ahead(self) -> None:
        """Pass over examples: only how far time has come is of interest, and that comes last."""
        for place in self._consumer.assignment():
            end = self._consumer.highwater(place)
            if end is not None and end - self._consumer.position(place) > 2 * _TAIL_RECORDS:
                self._consumer.seek(place, end - _TAIL_RECORDS)

    def _assign(self) -> set[int]:
        """Take all partitions of both topics from their present end; return those of the examples topic."""
        examples: set[int] = self._consumer.partitions_for_topic(TRAINING_EXAMPLES) or set()
        models: set[int] = self._consumer.partitions_for_topic(MODELS) or set()
        if not examples or not models:
            raise BrokerError(f"topics {TRAINING_EXAMPLES} and {MODELS} are not there", "a running worker creates them")
        wanted = [TopicPartition(TRAINING_EXAMPLES, number) for number in sorted(examples)]
        wanted += [TopicPartition(MODELS, number) for number in sorted(models)]
        self._consumer.assign(wanted)
        self._consumer.seek_to_end(*wanted)
        for partition in wanted:
            self._consumer.position(partition)  # fixes "the end" now rather than at the first poll
        return examples


def read_progress(topic: str, value: bytes | None) -> Progress | None:
    """Return the progress that a record tells of; None where it tells of none, whatever it holds."""
    if value is None:
        return None
    with contextlib.suppress(*UNREADABLE):
        if topic == MODELS:
            announced = _model_decoder.decode(value)
            if announced.name == "scorer" and announced.learned_through_at:
                return Progress("scorer", parse_time_ms(announced.learned_through_at))
        elif b"WatermarkPassed" in value[:_TAG_BYTES]:
            passed = _watermark_decoder.decode(value)
            if passed.watermark_at:
                return Progress("worker", parse_time_ms(passed.watermark_at), passed.partition)
    return None
