"""Stored dead letters: read, masked for display, sent again."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, NamedTuple

from clv.errors import BrokerError, InputError
from clv.topics import ORDERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from clv.settings import Settings

_MAX_REQUEST_BYTES = 4_194_304
# What the contract names is no secret, and without it a shape tells nothing.
_NAMES = (
    *("type", "event_id", "customer_id", "occurred_at", "schema_version", "order_id", "total", "currency", "items"),
    *("sku", "category", "quantity", "unit_price", "acquisition", "source", "campaign_type", "cost", "refund_id"),
    *("amount", "campaign_id", "action", "as_of"),
    *("OrderPlaced", "OrderRefunded", "EmailEngaged", "CustomerErased", "Tick"),
)
_KEPT_OR_SECRET = re.compile(rf'"(?:{"|".join(_NAMES)})"|\w')


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
    """Yield the stored dead letters by their place, in bounded memory; those with one reason, if given."""
    from clv.settings import Settings
    from storage.engine import Database
    from storage.export import iter_export

    database = Database(Settings.from_env().sql_url)
    try:
        for row in iter_export(database, "dead-letters", digits=0):
            if not reason or row["reason"] == reason:
                key, value = (None if row[name] is None else base64.b64decode(row[name]) for name in ("key", "value"))
                yield Letter(**{**row, "key": key, "value": value})
    finally:
        database.close()


def find_letter(letter_id: str) -> Letter:
    """Return the dead letter of an id; of several lives of a topic, one.

    Raises
    ------
    InputError
        When there is none.
    """
    found = [letter for letter in read_letters() if letter.id == letter_id]
    if not found:
        raise InputError(f"there is no dead letter {letter_id!r}", "clv dlq list shows their ids")
    return found[-1]


def masked(data: bytes | None) -> str:
    """Return bytes as text that shows their shape: letters become x, digits 0; the contract's own names stay.

    Examples
    --------
    >>> masked(b'{"total": "19.90", "email": "a@b.example"}')
    '{"total": "00.00", "xxxxx": "x@x.xxxxxxx"}'
    """
    text = (data or b"").decode("utf-8", "replace")
    return _KEPT_OR_SECRET.sub(
        lambda found: found[0] if found[0][0] == '"' else "0" if found[0].isdigit() else "x", text
    )


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
