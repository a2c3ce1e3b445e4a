"""Stored dead letters: read, masked for display, sent again."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from clv.errors import BrokerError, InputError
from clv.topics import ORDERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from clv.settings import Settings

_MAX_REQUEST_BYTES = 4_194_304
_PAGE = 500


class Letter(NamedTuple):
    """A record that could not be applied, and where it lay; ``incarnation`` is its topic's identity then."""

    topic: str
    incarnation: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    reason: str
    detail: str

    @property
    def id(self) -> str:
        """Its place as text; a topic that was made again may have had another record there."""
        return f"{self.topic}/{self.partition}/{self.offset}"


def read_letters(*, reason: str = "") -> Iterator[Letter]:
    """Yield the stored dead letters, newest offsets first, in bounded memory; those with one reason, if given."""
    from clv.settings import Settings
    from storage.engine import Database
    from storage.letters import LetterPlace, list_letters

    database = Database(Settings.from_env().sql_url)
    after: LetterPlace | None = None
    try:
        while rows := list_letters(database, reason=reason, limit=_PAGE, after=after):
            yield from (_letter(row) for row in rows)
            after = LetterPlace(*(rows[-1][name] for name in LetterPlace._fields))
    finally:
        database.close()


def find_letter(letter_id: str) -> Letter:
    """Return the dead letter of an id; of several lives of a topic, that of the last.

    Raises
    ------
    InputError
        When there is none.
    """
    from clv.settings import Settings
    from storage.engine import Database
    from storage.letters import get_letter

    place = re.fullmatch(r"(.+)/([0-9]{1,9})/([0-9]{1,18})", letter_id)
    database = Database(Settings.from_env().sql_url)
    try:
        row = get_letter(database, place[1], int(place[2]), int(place[3])) if place else None
    finally:
        database.close()
    if row is None:
        raise InputError(f"there is no dead letter {letter_id!r}", "clv dlq list shows their ids")
    return _letter(row)


def _letter(row: Mapping[str, Any]) -> Letter:
    return Letter(**{name: row[name] for name in Letter._fields})


async def resend(settings: Settings, letters: Iterable[Letter]) -> int:
    """Send records again to where they lay; return how many, each durable.

    Raises
    ------
    InputError
        When one did not lie in the orders topic: nothing else takes records from outside.
    BrokerError
        When the broker is not there or refuses one; those before it are sent.
    """
    from aiokafka import AIOKafkaProducer
    from aiokafka.errors import KafkaError

    from streams.clients import aiokafka_settings
    from streams.topics import ensure_topics

    sent = 0
    await ensure_topics(settings)
    try:
        async with AIOKafkaProducer(
            acks="all", max_request_size=_MAX_REQUEST_BYTES, **aiokafka_settings(settings)
        ) as producer:
            for letter in letters:
                if letter.topic != ORDERS:
                    raise InputError(f"{letter.id} is not an order", f"only records of {ORDERS} can be sent again")
                await producer.send_and_wait(letter.topic, letter.value, key=letter.key, partition=letter.partition)
                sent += 1
    except KafkaError as problem:
        says = f"a record was refused after {sent}: {type(problem).__name__} {problem}"
        raise BrokerError(says, "is the broker up?") from problem
    return sent
