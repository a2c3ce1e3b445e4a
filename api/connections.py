"""Connections that send nothing, or headers without end: uvicorn's protocol has a bound for neither."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    import asyncio

HEAD_SECONDS = 10.0
"""From a connection's beginning, or that of its next request, until all headers are there."""
MAX_HEAD_BYTES = 65_536


class BoundedProtocol(HttpToolsProtocol):
    """Closes a connection whose request does not come, or has too much in front of its body."""

    _deadline: asyncio.TimerHandle | None = None
    _head_bytes = 0
    _is_in_head = True

    def connection_made(self, transport: Any) -> None:
        """Wait for the first request, but not for ever."""
        super().connection_made(transport)
        self._await_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what comes before a body."""
        if self._is_in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._is_in_head and self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("Headers are too large.")

    def on_message_begin(self) -> None:
        """Wait for the headers of a request."""
        super().on_message_begin()
        self._is_in_head = True
        self._await_headers()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Refuse a single header, whole in one piece of data, that is too large: the parser answers 400."""
        if len(name) + len(value) > MAX_HEAD_BYTES:
            raise ValueError("headers are too large")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Let the request take its time from here; bodies have a bound of their own."""
        self._stop_waiting()
        self._is_in_head, self._head_bytes = False, 0
        super().on_headers_complete()

    def _await_headers(self) -> None:
        self._stop_waiting()
        self._deadline = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
