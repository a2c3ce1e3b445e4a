"""What a batch's dead letters say of themselves in the log: reason, position and event id, never what was sent."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import structlog

from clv.topics import DEAD_LETTERS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from streams.codecs import Produced

log = structlog.get_logger(__name__)
MOST_LINES = 10
"""Lines of a batch; a flood of rubbish must not become a flood of lines."""


class Refusal(NamedTuple):
    """A dead letter: why, where the record lies, and the id under which its letter is found everywhere."""

    reason: str
    topic: str
    partition: int
    offset: int
    event_id: str


def refusals(outputs: Iterable[Produced]) -> list[Refusal]:
    """Return the dead letters among a batch's outputs, in order."""
    return [_refusal(dict(record.headers)) for record in outputs if record.topic == DEAD_LETTERS]


def log_refusals(refused: list[Refusal]) -> None:
    """Write a line for each of the first ones, and one that counts the rest."""
    for refusal in refused[:MOST_LINES]:
        log.warning("record refused", **refusal._asdict())
    if rest := refused[MOST_LINES:]:
        counts = dict(Counter(refusal.reason for refusal in rest))
        log.warning(
            "more records refused",
            reasons=counts,
            partition=rest[0].partition,
            first=rest[0].offset,
            last=rest[-1].offset,
        )


def _refusal(headers: dict[str, bytes]) -> Refusal:
    return Refusal(
        reason=headers["clv-reason"].decode(),
        topic=headers["clv-topic"].decode(),
        partition=int(headers["clv-partition"]),
        offset=int(headers["clv-offset"]),
        event_id=headers["ce_id"].decode(),
    )
