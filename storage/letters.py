"""Dead letters as they are read, and the wish to have one sent again, which the sink fulfils."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import and_, func, select, tuple_, update

from storage import tables
from storage.dialect import insert_missing

if TYPE_CHECKING:
    from storage.engine import Database

Row = dict[str, Any]
_letters, _replays = tables.dead_letters, tables.letter_replays
_KEY = [column.name for column in _letters.primary_key]


class LetterPlace(NamedTuple):
    """Where a record lay first, in which life of its topic."""

    topic: str
    incarnation: str
    partition: int
    offset: int


def list_letters(
    database: Database, *, reason: str = "", limit: int, after: LetterPlace | None = None, is_whole: bool = True
) -> list[Row]:
    """Return dead letters by place, newest offsets first, with what became of a wish to send them again.

    ``value_bytes`` is how long the value is; unless a letter is wanted whole, key and value, up to 1 MiB each, stay
    where they are.

    Raises
    ------
    StoreUnavailable
        When a retry may help.
    """
    keys = [_letters.c[name] for name in _KEY]
    query = _with_replay(is_whole=is_whole).order_by(*(key.desc() for key in keys)).limit(limit)
    if reason:
        query = query.where(_letters.c.reason == reason)
    if after is not None:
        query = query.where(tuple_(*keys) < tuple(after))
    with database.reading() as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def get_letter(database: Database, topic: str, partition: int, offset: int) -> Row | None:
    """Return the dead letter of a place, that of the topic's last life; None where there is none."""
    is_meant = (_letters.c.topic == topic, _letters.c.partition == partition, _letters.c.offset == offset)
    with database.reading() as connection:
        rows = connection.execute(_with_replay().where(*is_meant).order_by(_letters.c.stored_ms)).mappings().all()
    return dict(rows[-1]) if rows else None


def count_by_reason(database: Database) -> dict[str, int]:
    """Return how many dead letters there are of each reason."""
    query = select(_letters.c.reason, func.count()).group_by(_letters.c.reason).order_by(_letters.c.reason)
    with database.reading() as connection:
        return {row[0]: row[1] for row in connection.execute(query)}


def request_replay(database: Database, place: LetterPlace, by: str) -> None:
    """Ask that a record be sent again; asking twice asks once, until it has been sent."""
    row = {
        **place._asdict(),
        "requested_ms": round(time.time() * 1000),
        "requested_by": by,
        "sent_ms": -1,
        "problem": "",
    }
    with database.writing() as connection:
        insert_missing(connection, _replays, [row])
        again = {"requested_ms": row["requested_ms"], "requested_by": by, "sent_ms": -1, "problem": ""}
        connection.execute(update(_replays).where(_is_at(place), _replays.c.sent_ms >= 0).values(again))


def pending_replays(database: Database, *, limit: int) -> list[Row]:
    """Return the records that are to be sent again, with their bytes, oldest wish first."""
    query = (
        select(_letters)
        .join(_replays, and_(*(_letters.c[name] == _replays.c[name] for name in _KEY)))
        .where(_replays.c.sent_ms < 0, _replays.c.problem == "")
        .order_by(_replays.c.requested_ms, *(_replays.c[name] for name in _KEY))
        .limit(limit)
    )
    with database.reading() as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def replay_done(database: Database, place: LetterPlace, *, problem: str = "") -> None:
    """Note that a record was sent, or why it cannot be."""
    sent_ms = -1 if problem else round(time.time() * 1000)
    with database.writing() as connection:
        connection.execute(update(_replays).where(_is_at(place)).values(sent_ms=sent_ms, problem=problem))


def _is_at(place: LetterPlace) -> Any:
    return and_(*(_replays.c[name] == value for name, value in place._asdict().items()))


def _with_replay(*, is_whole: bool = True) -> Any:
    wish = (_replays.c.requested_ms, _replays.c.sent_ms, _replays.c.problem)
    size = func.coalesce(func.length(_letters.c.value), 0).label("value_bytes")
    columns = [column for column in _letters.c if is_whole or column.name not in ("key", "value")]
    joined = _letters.outerjoin(_replays, and_(*(_letters.c[name] == _replays.c[name] for name in _KEY)))
    return select(*columns, size, *wish).select_from(joined)
