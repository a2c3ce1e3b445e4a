"""Each role says now and then, in SQL, that it lives and how it is: what the API's health is made of."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from typing import TYPE_CHECKING, Any

import structlog

from clv.errors import ScorerError
from storage.heartbeats import INTERVAL_SECONDS, beat

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from storage.engine import Database

log = structlog.get_logger(__name__)


@contextlib.asynccontextmanager
async def heartbeat(
    database: Database, role: str, figures: Callable[[], Awaitable[Mapping[str, Any]]], *, name: str = ""
) -> AsyncIterator[None]:
    """Beat while the block runs; what fails is left out, and never the role's trouble.

    Parameters
    ----------
    figures
        Returns what the role says of itself; called before every beat.
    name
        Tells processes of a role apart; host and process number if left out.
    """
    task = asyncio.create_task(_beats(database, role, name or _own_name(), figures), name="heartbeat")
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def _own_name() -> str:
    return f"{socket.gethostname()}-{os.getpid()}"


async def _beats(database: Database, role: str, name: str, figures: Callable[[], Awaitable[Mapping[str, Any]]]) -> None:
    started_ms = round(time.time() * 1000)
    while True:
        try:
            said = await figures()
            await asyncio.to_thread(beat, database, role, name, started_ms=started_ms, figures=said)
        except ScorerError as problem:
            log.debug("heartbeat left out", role=role, problem=str(problem))
        except Exception as problem:  # noqa: BLE001  # a client's or library's: whatever it is, the role goes on
            log.warning("heartbeat left out", role=role, problem=repr(problem))
        await asyncio.sleep(INTERVAL_SECONDS)
