"""Running an asynchronous role in the foreground until Ctrl-C or SIGTERM."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

import structlog

from clv.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

log = structlog.get_logger(__name__)


def run_role(name: str, role: Callable[[Settings, asyncio.Event], Awaitable[None]]) -> None:
    """Run a role with the environment's settings; its ``stop`` event is set by SIGINT and SIGTERM."""
    settings = Settings.from_env()

    async def run() -> None:
        """Run the role with a ``stop`` event that signals set."""
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        log.info("started", role=name)
        await role(settings, stop)
        log.info("stopped", role=name)

    asyncio.run(run())
