"""Dead letters sent again to where they lay: at once for the command line, as wished in SQL by the sink."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from clv.errors import BrokerError, InputError, StoreUnavailable
from clv.topics import ORDERS
from storage.letters import LetterPlace, pending_replays, replay_done
from streams.clients import aiokafka_settings
from streams.topics import ensure_topics

if TYPE_CHECKING:
    from collections.abc import Iterable

    from clv.settings import Settings
    from storage.engine import Database

log = structlog.get_logger(__name__)
_MAX_REQUEST_BYTES = 4_194_304
LOOK_SECONDS = 2.0
_AT_ONCE = 100


class SentAgain(Protocol):
    """What sending needs of a dead letter."""

    @property
    def id(self) -> str:
        """Its place as text."""
        ...

    @property
    def topic(self) -> str:
        """Where it lay."""
        ...

    @property
    def partition(self) -> int:
        """In which partition."""
        ...

    @property
    def key(self) -> bytes | None:
        """Its key."""
        ...

    @property
    def value(self) -> bytes | None:
        """Its bytes."""
        ...


async def resend(settings: Settings, letters: Iterable[SentAgain]) -> int:
    """Send records again to where they lay; return how many, each durable.

    Raises
    ------
    InputError
        When one did not lie in the orders topic: nothing else takes records from outside.
    BrokerError
        When the broker is not there or refuses one; those before it are sent.
    """
    sent = 0
    await ensure_topics(settings)
    try:
        async with _producer(settings) as producer:
            for letter in letters:
                if letter.topic != ORDERS:
                    raise InputError(f"{letter.id} is not an order", f"only records of {ORDERS} can be sent again")
                await producer.send_and_wait(letter.topic, letter.value, key=letter.key, partition=letter.partition)
                sent += 1
    except KafkaError as problem:
        says = f"a record was refused after {sent}: {type(problem).__name__} {problem}"
        raise BrokerError(says, "is the broker up?") from problem
    return sent


async def fulfil_wishes(settings: Settings, database: Database) -> None:
    """Send what somebody asked for in SQL, until cancelled.

    A record is sent before it is noted: after a crash in between it is sent twice, and counts once.
    """
    async with _producer(settings) as producer:
        while True:
            try:
                for row in await asyncio.to_thread(pending_replays, database, limit=_AT_ONCE):
                    await _fulfil(producer, database, row)
            except StoreUnavailable as problem:
                log.debug("wishes wait for the database", problem=str(problem))
            await asyncio.sleep(LOOK_SECONDS)


async def _fulfil(producer: AIOKafkaProducer, database: Database, row: dict[str, Any]) -> None:
    place = LetterPlace(*(row[name] for name in LetterPlace._fields))
    where, problem = {"topic": place.topic, "partition": place.partition, "offset": place.offset}, ""
    try:
        await producer.send_and_wait(place.topic, row["value"], key=row["key"], partition=place.partition)
    except KafkaError as refused:
        if refused.retriable:
            log.warning("dead letter not sent again yet", **where, problem=type(refused).__name__)
            return
        problem = f"the broker refused it: {type(refused).__name__}"
    await asyncio.to_thread(replay_done, database, place, problem=problem)
    log.info("dead letter sent again", **where, problem=problem)


def _producer(settings: Settings) -> AIOKafkaProducer:
    return AIOKafkaProducer(acks="all", max_request_size=_MAX_REQUEST_BYTES, **aiokafka_settings(settings))
