"""How far a replay came, so that the next one goes on from there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

from clv.outcomes import event_id

if TYPE_CHECKING:
    from pathlib import Path


class Position(msgspec.Struct, frozen=True):
    """Every event of rounds before ``round``, and of this one before ``through_ms``, has reached the broker.

    Event time, not a count: whoever knows better what downstream holds may put an earlier one, since an event sent
    again is a duplicate and changes nothing.
    """

    round: int
    through_ms: int


class ReplayPositions(Protocol):
    """Remembers positions by the log's key; called by ``replay`` after a flush, from its thread.

    A failure ends the replay; the position before it stays.
    """

    def get(self, key: str) -> Position | None:
        """Return the position to go on from; None to start at the beginning."""
        ...

    def put(self, key: str, position: Position | None) -> None:
        """Remember a position; None forgets it: the log was sent to its end."""
        ...


class FilePositions:
    """Keep positions as small JSON files in a directory.

    Parameters
    ----------
    directory
        Made when the first position is put.
    incarnation
        Identity of the topic that the positions are about (its topic id): in a topic that was made anew, nothing has
        been sent yet, whatever was sent to the one before.
    """

    def __init__(self, directory: Path, incarnation: str) -> None:
        self._directory = directory
        self._incarnation = incarnation

    def get(self, key: str) -> Position | None:
        """Read the position; a file that is not one counts as none."""
        try:
            return msgspec.json.decode(self._path(key).read_bytes(), type=Position)
        except (FileNotFoundError, msgspec.MsgspecError):
            return None

    def put(self, key: str, position: Position | None) -> None:
        """Write the position, whole or not at all."""
        path = self._path(key)
        if position is None:
            path.unlink(missing_ok=True)
            return
        self._directory.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".new")
        draft.write_bytes(msgspec.json.encode(position))
        draft.replace(path)

    def _path(self, key: str) -> Path:
        return self._directory / f"replay-{event_id(key, self._incarnation)}.json"
