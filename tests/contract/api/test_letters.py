"""Dead letters over HTTP: listed and shown masked, asked to be sent again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from clv.topics import ORDERS
from storage.letters import LetterPlace, pending_replays, replay_done

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

    from storage.engine import Database

ID = f"{ORDERS}/0/100"


def test_letters_come_by_page_and_reason(client: TestClient) -> None:
    """Pages hold each letter once, newest offset first; reasons are counted over all; one reason alone is possible."""
    first = client.get("/api/dead-letters", params={"limit": 2}).json()
    rest = client.get("/api/dead-letters", params={"limit": 2, "cursor": first["next"]}).json()
    assert [each["offset"] for each in first["items"] + rest["items"]] == [102, 101, 100]
    assert rest["next"] is None
    assert first["by_reason"] == {"bad_amount": 1, "too_late": 2}
    late = client.get("/api/dead-letters", params={"reason": "too_late"}).json()
    assert [each["offset"] for each in late["items"]] == [102, 101]


def test_a_letter_is_shown_masked(client: TestClient) -> None:
    """Names of the contract stay, whatever was in the record is letters x and digits 0."""
    found = client.get(f"/api/dead-letters/{ID}").json()
    assert found["value"] == '{"customer_id": "x0", "xxxxx": "x@x.xxxxxxx"}'
    assert (found["key"], found["reason"], found["replay"]) == ("x0", "bad_amount", "none")


def test_a_replay_is_a_wish_that_the_sink_finds(client: TestClient, database: Database) -> None:
    """Asking twice is one wish, with the record's bytes; once sent it says so, and can be wished for again."""
    for _ in range(2):
        answer = client.post(f"/api/dead-letters/{ID}/replay")
        assert (answer.status_code, answer.json()) == (202, {"id": ID, "replay": "requested"})
    (wish,) = pending_replays(database, limit=10)
    assert (wish["offset"], wish["value"]) == (100, b'{"customer_id": "c1", "email": "a@b.example"}')
    place = LetterPlace(*(wish[name] for name in LetterPlace._fields))
    replay_done(database, place)
    assert pending_replays(database, limit=10) == []
    assert client.get(f"/api/dead-letters/{ID}").json()["replay"] == "sent"
    client.post(f"/api/dead-letters/{ID}/replay")
    assert len(pending_replays(database, limit=10)) == 1
    replay_done(database, place, problem="the broker refused it: RecordTooLarge")
    assert client.get(f"/api/dead-letters/{ID}").json()["replay"] == "the broker refused it: RecordTooLarge"
    assert pending_replays(database, limit=10) == []


@pytest.mark.parametrize("place", [f"{ORDERS}/0/1", f"{ORDERS}/9/100", "no.topic/0/100"])
def test_a_letter_that_is_not_there(client: TestClient, place: str) -> None:
    """An unknown place is not found, to see and to send."""
    assert client.get(f"/api/dead-letters/{place}").status_code == 404
    assert client.post(f"/api/dead-letters/{place}/replay").status_code == 404


@pytest.mark.parametrize("place", [f"{ORDERS}/-1/1", f"{ORDERS}/0/x", f"{ORDERS}/0/{2**63}", "a%20b/0/1"])
def test_what_is_no_place_is_refused(client: TestClient, place: str) -> None:
    """A place that cannot be is a 422."""
    assert client.get(f"/api/dead-letters/{place}").status_code == 422
