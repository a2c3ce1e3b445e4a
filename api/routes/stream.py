"""Server-sent events: segment changes as they are stored, and the summary as it moves."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import structlog
from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from api.context import Context, Shared
from api.cursors import decode_feed, encode_feed
from api.overview import summary_of
from api.problems import documented, respond
from api.security import TRUST_SECONDS, presented_key, require
from api.views import change_view
from clv.errors import ScorerError
from storage.feed import feed_end, read_feed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from starlette.types import Message, Receive, Scope, Send

    from api.security import KeyRing

log = structlog.get_logger(__name__)
router = APIRouter(prefix="/api", tags=["stream"], dependencies=[require("read")])
POLL_SECONDS = 1.0
HEARTBEAT_SECONDS = 15.0
MOST_READERS = 64
MOST_OF_ONE_CALLER = 16
SEND_SECONDS = 30.0
"""How long a reader may take nothing."""
_MOST_AT_ONCE = 200


class Readers:
    """Counts who reads the stream, and makes the summary once a second for all of them."""

    def __init__(self) -> None:
        self.count: Counter[str] = Counter()
        self._lock = asyncio.Lock()
        self._made_at = -POLL_SECONDS
        self._summary = b""

    async def summary(self, context: Context) -> bytes:
        """Return the summary as JSON, no older than a second."""
        async with self._lock:
            now = asyncio.get_running_loop().time()
            if now - self._made_at >= POLL_SECONDS:
                made = await run_in_threadpool(summary_of, context)
                self._summary, self._made_at = made.model_dump_json().encode(), now
            return self._summary


@router.get(
    "/stream",
    responses={
        **documented("invalid-input"),
        200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}, "description": "Events, without end."},
    },
    response_class=StreamingResponse,
)
async def stream(
    context: Shared,
    request: Request,
    last_event_id: Annotated[
        str, Header(max_length=2048, description="The last id that was read: what came since follows.")
    ] = "",
    since: Annotated[str, Query(max_length=2048, description="The same, for a first connection.")] = "",
) -> StreamingResponse:
    """Stream `segment-change` events, each with an id to resume from, and `summary` events as figures move.

    Without an id it begins with what is stored from now on. Comments keep the connection alive.
    """
    readers: Readers = request.app.state.readers
    keys: KeyRing = request.app.state.keys
    presented = presented_key(request.headers)
    given = last_event_id or since
    cursor = decode_feed(given) if given else await run_in_threadpool(feed_end, context.database)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return _Counted(
        _events(context, request, readers, cursor, lambda: keys.still_allows(presented, "read")),
        readers,
        keys.caller(request.scope),
        headers,
    )


class _Counted(StreamingResponse):
    """A stream that counts while it is open, and is closed when its reader takes nothing any more."""

    def __init__(self, events: AsyncIterator[bytes], readers: Readers, caller: str, headers: dict[str, str]) -> None:
        super().__init__(events, media_type="text/event-stream", headers=headers)
        self._readers = readers
        self._caller = caller

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream, or say that there are too many."""
        count = self._readers.count
        if count.total() >= MOST_READERS or count[self._caller] >= MOST_OF_ONE_CALLER:
            await respond("unavailable", "too many readers of the stream")(scope, receive, send)
            return

        async def bounded(message: Message) -> None:
            """Wait for a reader, but not for ever."""
            async with asyncio.timeout(SEND_SECONDS):
                await send(message)

        count[self._caller] += 1
        try:
            await super().__call__(scope, receive, bounded)
        except TimeoutError:
            log.info("a reader of the stream took nothing any more")
        finally:
            count[self._caller] -= 1


async def _events(
    context: Context,
    request: Request,
    readers: Readers,
    cursor: dict[int, int],
    may_read: Callable[[], bool] = lambda: True,
) -> AsyncIterator[bytes]:
    loop = asyncio.get_running_loop()
    shown, spoke_at = b"", loop.time()
    asked_at = loop.time()
    yield b"retry: 2000\n\n"
    while not await request.is_disconnected():
        parts: list[bytes] = []
        try:
            if loop.time() - asked_at >= TRUST_SECONDS:
                if not await run_in_threadpool(may_read):
                    return
                asked_at = loop.time()
            rows, reached = await run_in_threadpool(read_feed, context.database, cursor, limit=_MOST_AT_ONCE)
            for row in rows:
                cursor[row["partition"]] = row["feed_seq"] + 1
                change = change_view(context, row).model_dump()
                parts.append(_event("segment-change", msgspec.json.encode(change), encode_feed(cursor)))
            cursor = cursor | reached
            summary = await readers.summary(context)
            if _moving(summary) != shown:
                shown = _moving(summary)
                parts.append(_event("summary", summary))
        except ScorerError as problem:
            # The reader stays: what is missing follows when the database is back.
            log.warning("stream waits for the database", problem=str(problem))
            rows = []
        if parts:
            yield b"".join(parts)
            spoke_at = loop.time()
        elif loop.time() - spoke_at >= HEARTBEAT_SECONDS:
            yield b": still here\n\n"
            spoke_at = loop.time()
        if len(rows) < _MOST_AT_ONCE:
            await asyncio.sleep(POLL_SECONDS)


def _moving(summary: bytes) -> bytes:
    """Return what makes a summary worth sending again: all but the seconds that pass anyway."""
    figures: dict[str, Any] = msgspec.json.decode(summary)
    figures.pop("freshness_seconds")
    return msgspec.json.encode(figures)


def _event(name: str, data: bytes, event_id: str = "") -> bytes:
    identified = f"id: {event_id}\n".encode() if event_id else b""
    return identified + b"event: " + name.encode() + b"\ndata: " + data + b"\n\n"
