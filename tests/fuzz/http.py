"""Every path, parameter, header and body of the API, through ASGI in this process; and cursors alone."""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, quote_from_bytes, unquote_to_bytes, urlencode

from api.cursors import decode_cursor, decode_feed, encode_cursor
from api.main import create_app
from api.problems import ApiProblem
from clv.settings import Settings
from storage.engine import Database
from storage.schema import upgrade
from tests.contract.api.test_predictions import FIGURES
from tests.contract.api.trading import ODD_CUSTOMER, fill
from tests.fuzz.mutate import AMOUNTS, NUMBERS, TIMES, bend, broken, odd_text, written
from tests.fuzz.target import Target

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from random import Random

_ANSWER_SECONDS = 60.0
_HEADERS = (
    *(b"x-api-key", b"authorization", b"last-event-id", b"if-none-match", b"accept-encoding", b"content-type"),
    *(b"content-length", b"origin", b"sec-fetch-site", b"cookie", b"range", b"expect", b"x-http-method-override"),
)
_IDS = ("c001", "c002", ODD_CUSTOMER, "clv.orders.v1", "0", "100", "a" * 32)


class Asked(NamedTuple):
    """A request as a server hands it on."""

    method: str
    raw_path: bytes
    query: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


class Api:
    """The API of a shop, asked without a network."""

    def __init__(self, database: Database, loop: asyncio.AbstractEventLoop) -> None:
        self._app = create_app(Settings(api_rate_per_second=10**9), database, clock=time.time)
        self._loop = loop
        paths = self._app.openapi()["paths"]
        self._operations = [(path, method, what) for path, found in paths.items() for method, what in found.items()]

    def draw(self, rng: Random) -> Asked:
        """Return a request of a documented operation, or of something near it."""
        path, method, operation = rng.choice(self._operations)
        headers = [(b"host", b"127.0.0.1:8000"), *self._headers(rng)]
        body = b""
        if "requestBody" in operation or rng.random() < 0.05:
            body = self._body(rng)
            headers.append((b"content-type", b"application/json"))
            if rng.random() < 0.9:
                headers.append((b"content-length", str(len(body)).encode()))
        if rng.random() < 0.05:
            method = rng.choice(["PUT", "DELETE", "HEAD", "OPTIONS", "TRACE", "GET", "POST"])
        return Asked(method.upper(), self._path(rng, path), self._query(rng, operation), tuple(headers), body)

    def run(self, asked: Asked) -> str:
        """Ask, and return the status; nothing may be a failure inside."""
        status = self._loop.run_until_complete(asyncio.wait_for(self._ask(asked), _ANSWER_SECONDS))
        assert status < 500, status
        return str(status)

    async def _ask(self, asked: Asked) -> int:
        statuses: list[int] = []
        pending = [{"type": "http.request", "body": asked.body, "more_body": False}]

        async def receive() -> Any:
            return pending.pop() if pending else {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        await self._app(self._scope(asked), receive, send)
        return statuses[0]

    def _scope(self, asked: Asked) -> dict[str, Any]:
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": asked.method,
            "scheme": "http",
            "path": unquote_to_bytes(asked.raw_path).decode("utf-8", "replace"),
            "raw_path": asked.raw_path,
            "root_path": "",
            "query_string": asked.query,
            "headers": list(asked.headers),
            "client": ("127.0.0.1", 40_000),
            "server": ("127.0.0.1", 8_000),
        }

    def _path(self, rng: Random, path: str) -> bytes:
        filled = "/".join(_segment(rng) if part.startswith("{") else part for part in path.split("/"))
        if rng.random() < 0.03:
            filled += rng.choice(["/", "//", "/..", "%2e%2e/%00", "?", "/" + _segment(rng)])
        return filled.encode()

    def _query(self, rng: Random, operation: Mapping[str, Any]) -> bytes:
        found = [
            (parameter["name"], _parameter(rng, parameter.get("schema", {})))
            for parameter in operation.get("parameters", ())
            if parameter["in"] == "query" and rng.random() < 0.4
        ]
        if rng.random() < 0.05:
            found.append((odd_text(rng), odd_text(rng)))
        text = urlencode([(_plain(name), _plain(value)) for name, value in found]).encode()
        return broken(rng, text).replace(b"\n", b"") if rng.random() < 0.05 else text

    def _headers(self, rng: Random) -> Iterator[tuple[bytes, bytes]]:
        while rng.random() < 0.15:
            value = _plain(odd_text(rng)).encode()[:60_000]
            yield rng.choice(_HEADERS), value.replace(b"\r", b"").replace(b"\n", b"")

    def _body(self, rng: Random) -> bytes:
        figures: dict[str, Any] = dict(FIGURES)
        chance = rng.random()
        if chance < 0.1:
            body = written(rng, figures)
        elif chance < 0.75:
            body = written(rng, bend(rng, figures))
        else:
            body = written(rng, bend(rng, {"customers": [figures, bend(rng, figures)]}))
        return broken(rng, body) if rng.random() < 0.15 else body


def _segment(rng: Random) -> str:
    chance = rng.random()
    if chance < 0.4:
        return quote(rng.choice(_IDS), safe="")
    if chance < 0.5:
        return quote_from_bytes(rng.randbytes(rng.randint(1, 20)), safe="")
    if chance < 0.7:
        return quote(str(rng.choice(NUMBERS))[:300], safe="")
    return quote(_plain(odd_text(rng))[:3_000], safe="")


def _parameter(rng: Random, schema: Mapping[str, Any]) -> str:
    if options := schema.get("enum"):
        return str(rng.choice(options)) if rng.random() < 0.7 else odd_text(rng)
    cursor = encode_cursor(*rng.choice([(1, "c001"), ("x", 1), (2**70, "c"), (None,), (-1.5, "\x00"), ()]))
    texts = (rng.choice(AMOUNTS), rng.choice(TIMES), str(rng.choice(NUMBERS))[:300], cursor, str(rng.randint(-3, 400)))
    return rng.choice([*texts, "2024-03-01T00:00:00Z", odd_text(rng)[:3_000]])


def _plain(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


@contextmanager
def api(folder: Path) -> Iterator[Target]:
    """Fuzz the API."""
    url = f"sqlite:///{folder / 'fuzz-api.db'}"
    upgrade(url)
    database = Database(url)
    fill(database)
    loop = asyncio.new_event_loop()
    try:
        asked = Api(database, loop)
        yield Target(asked.draw, asked.run)
    finally:
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
        database.close()


def draw_cursor(rng: Random) -> str:
    """Return a cursor that was given out, bent or broken."""
    if rng.random() < 0.3:
        text = rng.choice(["0:3,1:20", "0:0", "-1:5", "9" * 30 + ":1", "0:" + "9" * 400, "1:2,", ",", "0:1:2"])
        return broken(rng, text.encode()).decode("utf-8", "replace")
    parts = [rng.choice([1, "c001", *NUMBERS, None, [], odd_text(rng)[:2_000]]) for _ in range(rng.randint(0, 3))]
    text = encode_cursor(*(_finite(part) for part in parts))
    return broken(rng, text.encode()).decode("utf-8", "replace") if rng.random() < 0.6 else text


def _finite(part: Any) -> Any:
    return _plain(part) if isinstance(part, str) else part


def read_cursor(text: str) -> str:
    """Read a cursor as each path does: parts of the wanted type, or a refusal."""
    verdicts = []
    for kind in (tuple[str, str], tuple[int, str], tuple[float, str], tuple[int, int]):
        try:
            decode_cursor(text, kind)
            verdicts.append("read")
        except ApiProblem as problem:
            verdicts.append(problem.kind)
    try:
        decode_feed(text)
    except ApiProblem as problem:
        verdicts.append(problem.kind)
    return "read" if "read" in verdicts else verdicts[0]


@contextmanager
def cursors(_folder: Path) -> Iterator[Target]:
    """Fuzz the decoding of cursors."""
    yield Target(draw_cursor, read_cursor)
