"""What every request passes before a route sees it: host, size, rate; and what every answer carries."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import anyio
from limits import RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders

from api.problems import respond
from api.security import is_loopback
from clv.errors import StoreError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from api.security import KeyRing

MAX_BODY_BYTES = 1_048_576
MAX_BODY_SECONDS = 10.0
MAX_PATH_BYTES = 4_096
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
}


class Edge:
    """ASGI middleware: refuses what no route should have to look at, and sets the security headers.

    Parameters
    ----------
    rate_per_second
        Requests a second of one caller, by key or address.
    """

    def __init__(self, app: ASGIApp, *, keys: KeyRing, rate_per_second: int) -> None:
        self._app = app
        self._keys = keys
        self._rate = RateLimitItemPerSecond(rate_per_second)
        self._limiter = FixedWindowRateLimiter(MemoryStorage())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            """Add the headers to the answer's beginning."""
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                # What a key opens is for its holder alone; asked again, an unchanged answer costs a tag.
                is_open = not scope["path"].startswith("/api/")
                headers.setdefault("Cache-Control", "no-cache" if is_open else "private, no-cache")
            await send(message)

        refusal = self._refusal(scope, is_key_needed=await self._is_key_needed())
        if refusal is not None:
            await refusal(scope, receive, with_headers)
            return
        headers = Headers(scope=scope)
        if "content-length" not in headers and "transfer-encoding" not in headers:
            await self._app(scope, receive, with_headers)
            return
        try:
            with anyio.fail_after(MAX_BODY_SECONDS):
                body = await _whole_body(receive)
        except TimeoutError:
            await respond("too-slow", f"a body must come within {MAX_BODY_SECONDS:.0f} seconds")(
                scope, receive, with_headers
            )
            return
        if body is None:
            await _too_large()(scope, receive, with_headers)
            return
        await self._app(scope, _replayed(body, receive), with_headers)

    async def _is_key_needed(self) -> bool | None:
        """Tell whether callers need a key; None while the database does not say."""
        known = self._keys.remembered_need()
        if known is not None:
            return known
        try:
            return await run_in_threadpool(self._keys.is_needed)
        except StoreError:
            return None

    def _refusal(self, scope: Scope, *, is_key_needed: bool | None) -> ASGIApp | None:
        headers = Headers(scope=scope)
        if not is_key_needed and (says := _not_from_here(scope["method"], headers)):
            if is_key_needed is None:
                return respond("unavailable", "the database does not answer; try again")
            return respond("wrong-host", says)
        if len(scope.get("raw_path") or b"") + len(scope.get("query_string") or b"") > MAX_PATH_BYTES:
            return respond("too-large", f"path and query may have {MAX_PATH_BYTES} bytes")
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > MAX_BODY_BYTES:
            return _too_large()
        if not self._limiter.hit(self._rate, self._keys.caller(scope)):
            return respond("too-many-requests", "slow down and try again", headers={"Retry-After": "1"})
        return None


async def _whole_body(receive: Receive) -> bytes | None:
    """Return the body; None when it is larger than its limit, whatever its header said."""
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            return None
        if message["type"] == "http.disconnect" or not message.get("more_body"):
            return bytes(body)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Return a ``receive`` that gives the body that was read, then whatever comes."""
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return pending.pop() if pending else await receive()

    return replay


def _too_large() -> ASGIApp:
    return respond("too-large", f"a body may have {MAX_BODY_BYTES} bytes")


def _not_from_here(method: str, headers: Headers) -> str:
    """Say why a request without keys is not one of this machine's own; empty where it is.

    A page elsewhere can make a browser here ask under a name that points here, and send forms to this machine.
    """
    if [is_loopback(host) for host in headers.getlist("host")] != [True]:
        return "without API keys the API answers to localhost and 127.0.0.1 alone"
    if any(name in headers for name in ("forwarded", "x-forwarded-for", "via")):
        return "without API keys the API answers to nobody behind a proxy"
    if method in ("GET", "HEAD", "OPTIONS"):
        return ""
    origin = headers.get("origin")
    is_foreign = origin is not None and urlsplit(origin).netloc != headers["host"]
    if is_foreign or headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        return "without API keys no other site's page may change anything"
    return ""


class ETags:
    """ASGI middleware: whole JSON answers to GET carry a tag of their content, and are not sent twice."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hold back a JSON answer until it is whole, tag it, and leave out a body that the caller has."""
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        start: Message | None = None
        body = bytearray()

        async def tagged(message: Message) -> None:
            """Pass other answers through as they come."""
            nonlocal start
            if message["type"] == "http.response.start":
                is_json = Headers(raw=message["headers"]).get("content-type", "").startswith("application/json")
                if message["status"] == 200 and is_json:
                    start = message
                    return
            elif start is not None:
                body.extend(message.get("body", b""))
                if not message.get("more_body"):
                    await _send_tagged(start, bytes(body), Headers(scope=scope), send)
                return
            await send(message)

        await self._app(scope, receive, tagged)


async def _send_tagged(start: Message, body: bytes, asked: Headers, send: Send) -> None:
    tag = f'W/"{hashlib.sha256(body).hexdigest()[:24]}"'
    headers = MutableHeaders(raw=list(start["headers"]))
    headers["ETag"] = tag
    known = {each.strip() for each in asked.get("if-none-match", "").split(",")}
    if tag in known or "*" in known:
        del headers["content-length"]
        await send({**start, "status": 304, "headers": headers.raw})
        await send({"type": "http.response.body", "body": b""})
        return
    await send({**start, "headers": headers.raw})
    await send({"type": "http.response.body", "body": body})
