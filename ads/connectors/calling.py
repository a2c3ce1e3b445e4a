"""How an HTTP call can fail, in our words, for every connector alike."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import httpx2

from ads.connector import NotDone, Uncertain

if TYPE_CHECKING:
    from collections.abc import Iterator

CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 60.0


@contextlib.contextmanager
def calling(platform: str) -> Iterator[None]:
    """Translate what a call inside the block raises.

    Raises
    ------
    NotDone
        When no connection was made: the platform has not heard of it.
    Uncertain
        When the connection broke or no answer came in time.
    """
    try:
        yield
    except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as problem:
        raise NotDone(f"{platform} cannot be reached: {type(problem).__name__}") from problem
    except httpx2.HTTPError as problem:
        raise Uncertain(f"{platform}'s answer did not come: {type(problem).__name__}") from problem


def timeouts(answer_seconds: float = ANSWER_SECONDS) -> httpx2.Timeout:
    """Return how long a connection, and an answer, is waited for."""
    return httpx2.Timeout(answer_seconds, connect=CONNECT_SECONDS)
