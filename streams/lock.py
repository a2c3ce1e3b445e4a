"""A lock on a data directory that goes with its holder, however the holder ends."""

from __future__ import annotations

import fcntl
from typing import IO, TYPE_CHECKING

from clv.errors import BrokerError

if TYPE_CHECKING:
    from pathlib import Path


def hold_lock(path: Path, *, message: str, hint: str) -> IO[str]:
    """Lock a file, made if need be; closing what is returned, or the process's end, unlocks it.

    Raises
    ------
    BrokerError
        With ``message`` and ``hint``, when another process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.open("a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as problem:
        lock.close()
        raise BrokerError(message, hint) from problem
    return lock
