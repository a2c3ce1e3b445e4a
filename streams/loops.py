"""uvloop, but for one thing: writing to a closed connection is a connection error, as libraries expect of asyncio.

uvloop raises ``RuntimeError`` there. In aiokafka it ends the task that fetches, or the one that sends, without anybody
noticing: a connection reset at the wrong moment, and a worker reads nothing any more while it keeps its partitions.
"""

from __future__ import annotations

import asyncio
from typing import Any

import uvloop


class _Transport:
    """A transport whose ``write`` after its end raises ``ConnectionResetError``."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport

    def write(self, data: bytes) -> None:
        """Write, if the connection still stands."""
        if self._transport.is_closing():
            raise ConnectionResetError("the connection is closed")
        self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class Loop(uvloop.Loop):
    """An event loop whose outgoing connections fail as asyncio's do."""

    async def create_connection(self, *args: Any, **options: Any) -> tuple[Any, Any]:
        """Connect; see ``asyncio.loop.create_connection``."""
        transport, protocol = await super().create_connection(*args, **options)
        return _Transport(transport), protocol


class _Policy(uvloop.EventLoopPolicy):
    def _loop_factory(self) -> Loop:
        return Loop()


def install() -> None:
    """Have every event loop made from now on, in any thread, be one of these."""
    asyncio.set_event_loop_policy(_Policy())
