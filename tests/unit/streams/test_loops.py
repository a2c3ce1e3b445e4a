"""An event loop whose closed connections fail as libraries expect."""

from __future__ import annotations

import asyncio

import pytest

from streams.loops import Loop


def test_writing_to_a_connection_that_was_reset_is_a_connection_error() -> None:
    """Not uvloop's RuntimeError, which nobody catches; what stands goes on as before."""

    async def talk() -> bytes:
        server = await asyncio.start_server(_echo, "127.0.0.1", 0)
        host, port = server.sockets[0].getsockname()
        reader = asyncio.StreamReader()
        transport, protocol = await asyncio.get_running_loop().create_connection(
            lambda: asyncio.StreamReaderProtocol(reader), host, port
        )
        writer = asyncio.StreamWriter(transport, protocol, reader, asyncio.get_running_loop())
        writer.write(b"ping\n")
        answer = await reader.readline()
        transport.abort()
        await asyncio.sleep(0.05)
        with pytest.raises(ConnectionResetError):
            writer.write(b"more")
        server.close()
        await server.wait_closed()
        return answer

    loop = Loop()
    try:
        assert loop.run_until_complete(talk()) == b"ping\n"
    finally:
        loop.close()


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(await reader.readline())
    await reader.read()
    writer.close()
    await writer.wait_closed()
