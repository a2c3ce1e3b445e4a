"""Stored dead letters: read for the command line."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from clv.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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
