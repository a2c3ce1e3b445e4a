"""A TCP proxy on loopback between the roles and the broker: passes, delays, holds or resets what goes through it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from typing import Self

from benchmarks.chaos.background import Background

_CHUNK_BYTES = 65_536
_POLL_SECONDS = 0.05


class Proxy:
    """Forwards connections to a target, in a thread of its own, while the block is open.

    Set ``delay_seconds`` to slow every piece that passes, ``is_silent`` to hold everything back and answer no new
    connection: what is held goes on its way when the silence ends, as after a network's outage.
    """

    def __init__(self) -> None:
        self.delay_seconds = 0.0
        self.is_silent = False
        self.target = ("127.0.0.1", 0)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._background = Background()
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def address(self) -> str:
        """Return ``host:port`` where it listens."""
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._background.start(self._serve())
        return self

    def __exit__(self, *_: object) -> None:
        self._background.close()
        self._listener.close()

    def reset(self) -> None:
        """Reset every connection there is."""
        self._background.run(self._reset())

    async def _reset(self) -> None:
        for writer in self._writers:
            connection = writer.get_extra_info("socket")
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    async def _serve(self) -> None:
        self._server = await asyncio.start_server(self._join, sock=self._listener)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._silence()
        try:
            far_reader, far_writer = await asyncio.open_connection(*self.target)
        except OSError:
            writer.transport.abort()
            return
        ends = {writer, far_writer}
        self._writers |= ends
        ways = [
            asyncio.create_task(self._pass(reader, far_writer)),
            asyncio.create_task(self._pass(far_reader, writer)),
        ]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        for end in ends:
            end.close()
        self._writers -= ends

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(_CHUNK_BYTES):
                await self._silence()
                if self.delay_seconds:
                    await asyncio.sleep(self.delay_seconds)
                writer.write(piece)
                await writer.drain()

    async def _silence(self) -> None:
        while self.is_silent:  # noqa: ASYNC110 - set from another thread
            await asyncio.sleep(_POLL_SECONDS)
