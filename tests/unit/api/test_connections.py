"""Connections of callers who send nothing, or too much: a real server, real sockets."""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn

from api import connections
from api.connections import MAX_HEAD_BYTES, BoundedProtocol

if TYPE_CHECKING:
    from collections.abc import Iterator

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n"


async def _hello(scope: Any, receive: Any, send: Any) -> None:
    del scope, receive
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"hi"})


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, int]]:
    """A server that waits for headers a third of a second."""
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.3)
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(_hello, http=BoundedProtocol, log_config=None, lifespan="off", timeout_keep_alive=30)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    yield listening.getsockname()
    server.should_exit = True
    thread.join()


def _answer(caller: socket.socket) -> bytes:
    """Return all that comes until the server closes, or half a second after it began to answer."""
    found = b""
    while part := caller.recv(65_536):
        found += part
        caller.settimeout(0.5)
    return found


@pytest.mark.parametrize("said", [b"", REQUEST, b"GET / HT"], ids=["nothing", "half its headers", "half a line"])
def test_a_caller_who_does_not_come_to_the_point_is_let_go(address: tuple[str, int], said: bytes) -> None:
    """Five hundred such connections would be all that the server keeps."""
    with socket.create_connection(address, timeout=10) as caller:
        caller.sendall(said)
        assert _answer(caller) == b""


@pytest.mark.parametrize("name", [b"X-Long: " + b"x" * (MAX_HEAD_BYTES + 1), b"X: y\r\n" * MAX_HEAD_BYTES])
@pytest.mark.parametrize("is_whole", [True, False])
def test_headers_that_are_too_large_are_refused(address: tuple[str, int], name: bytes, *, is_whole: bool) -> None:
    """In one piece or without end, as one header or as many."""
    with socket.create_connection(address, timeout=10) as caller:
        try:
            caller.sendall(REQUEST + name + (b"\r\n\r\n" if is_whole else b""))
            answer = _answer(caller)
        except ConnectionError:  # closed while we still sent
            return
        assert answer.startswith(b"HTTP/1.1 400 ")


def test_a_connection_serves_one_request_after_another(address: tuple[str, int]) -> None:
    """What it waits between two requests is the keep-alive's business."""
    with socket.create_connection(address, timeout=10) as caller:
        for _ in range(2):
            caller.sendall(REQUEST + b"\r\n")
            answer = b""
            while not answer.endswith(b"hi"):
                answer += caller.recv(65_536)
            assert answer.startswith(b"HTTP/1.1 200 ")
            time.sleep(0.5)
        caller.sendall(REQUEST)
        assert _answer(caller) == b""
