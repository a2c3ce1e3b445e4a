"""Server-sent events: in order, with ids to resume from, nothing lost and nothing twice."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from api.cursors import decode_feed, encode_feed
from api.routes.stream import MOST_OF_ONE_CALLER, Readers, _Counted, _events
from api.security import KeyRing
from clv.outcomes import SegmentChange
from storage.api_keys import create_key, list_keys, revoke_key
from storage.feed import feed_end
from storage.sinking import load_positions, write_batch
from tests.contract.api.trading import traded
from tests.contract.storage.outputs import OutputTopics, batch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fastapi import FastAPI
    from fastapi.testclient import TestClient

    from storage.engine import Database


class _Asking:
    """A request whose caller stays for so many looks."""

    def __init__(self, looks: int) -> None:
        self._looks = looks

    async def is_disconnected(self) -> bool:
        self._looks -= 1
        return self._looks < 0


def _read(app: FastAPI, cursor: dict[int, int], looks: int = 1) -> list[dict[str, str]]:
    """Return the stream's events as their fields, after so many looks at the database."""

    async def read() -> bytes:
        asking: Any = _Asking(looks)
        return b"".join([part async for part in _events(app.state.context, asking, Readers(), cursor)])

    blocks = asyncio.run(read()).decode().split("\n\n")
    events = [dict(line.split(": ", 1) for line in block.splitlines()) for block in blocks]
    return [event for event in events if "data" in event]


def _changes(events: list[dict[str, str]]) -> list[str]:
    return [json.loads(event["data"])["event_id"] for event in events if event["event"] == "segment-change"]


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.routes.stream.POLL_SECONDS", 0.01)


def test_the_whole_feed_comes_once_in_order(app: FastAPI) -> None:
    """From the beginning every change comes, in the order in which they were stored, and the summary after them."""
    expected = [outcome.event_id for outcome in traded().outcomes if isinstance(outcome, SegmentChange)]
    events = _read(app, {}, looks=5)
    assert _changes(events) == expected
    assert json.loads(next(event["data"] for event in events if event["event"] == "summary"))["customers"] > 0


@pytest.mark.parametrize("at", [0, 1, 40])
def test_a_reader_goes_on_from_its_last_id(app: FastAPI, at: int) -> None:
    """Cut off after any event, what follows from its id is exactly the rest."""
    events = [event for event in _read(app, {}, looks=5) if event["event"] == "segment-change"]
    rest = _read(app, decode_feed(events[at]["id"]), looks=5)
    assert _changes(rest) == _changes(events)[at + 1 :]


def test_what_is_stored_later_follows(app: FastAPI, database: Database) -> None:
    """From the end on nothing comes but what is stored from then on, of every partition, with a cursor behind it."""
    cursor = feed_end(database)
    assert _changes(_read(app, dict(cursor))) == []
    outputs = OutputTopics()
    outputs.change("later", "c001")
    stored = load_positions(database, [record.topic for record in outputs.records])
    write_batch(database, batch(outputs.records, stored))
    events = [event for event in _read(app, dict(cursor)) if event["event"] == "segment-change"]
    assert _changes(events) == ["later"]
    assert decode_feed(events[0]["id"]) == feed_end(database)


def test_the_summary_has_the_cursor_to_begin_with(app: FastAPI, client: TestClient, database: Database) -> None:
    """Who reads the summary first and the stream from its cursor misses nothing."""
    cursor = client.get("/api/dashboard/summary").json()["feed_cursor"]
    assert cursor == encode_feed(feed_end(database))


@pytest.mark.parametrize("last_id", ["x", "0:", ":1", "0:1,", "0:1;1:2", "0:-1", "9" * 30 + ":1"])
def test_an_id_that_was_never_given_out_is_refused(client: TestClient, last_id: str) -> None:
    """A wrong id is a 422, not a stream from somewhere."""
    answer = client.get("/api/stream", headers={"last-event-id": last_id})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "header.last-event-id")


def test_a_stream_ends_with_its_key(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that was revoked, or is needed now, is noticed by streams that are open."""
    monkeypatch.setattr("api.routes.stream.TRUST_SECONDS", 0.0)

    async def read() -> bytes:
        asking: Any = _Asking(1_000)
        events = _events(app.state.context, asking, Readers(), {}, lambda: False)
        return b"".join([part async for part in events])

    assert asyncio.run(read()) == b"retry: 2000\n\n"


def test_what_a_stream_was_opened_with_is_asked_again(app: FastAPI, database: Database) -> None:
    """Without keys anybody here may read; then those with the scope, until the key is revoked."""
    ring = KeyRing(database, clock=iter(range(0, 1000, 10)).__next__)
    assert ring.still_allows(None, "read") is True
    key = create_key(database, "shop", ["read"])
    assert [ring.still_allows(presented, "read") for presented in (None, key)] == [False, True]
    assert ring.still_allows(key, "operate") is False
    revoke_key(database, list_keys(database)[0].key_id)
    assert ring.still_allows(key, "read") is False


def test_one_caller_has_so_many_streams_and_no_more(app: FastAPI) -> None:
    """Counted while they are open; the one too many is told to come later."""

    async def endless() -> AsyncIterator[bytes]:
        yield b"retry: 2000\n\n"
        await asyncio.sleep(60)

    async def open_all() -> list[int]:
        readers, statuses = Readers(), []

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        async def receive() -> Any:
            await asyncio.sleep(60)

        scope: Any = {"type": "http", "asgi": {"spec_version": "2.4"}, "method": "GET", "headers": [], "path": "/"}
        tasks = [
            asyncio.create_task(_Counted(endless(), readers, "a", {})(scope, receive, send))
            for _ in range(MOST_OF_ONE_CALLER + 1)
        ]
        await asyncio.sleep(0.1)
        assert readers.count["a"] == MOST_OF_ONE_CALLER
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert readers.count["a"] == 0
        return statuses

    assert sorted(asyncio.run(open_all())) == [200] * MOST_OF_ONE_CALLER + [503]
