"""Who may ask, and how: keys, scopes, hosts, sizes, headers."""

from __future__ import annotations

import asyncio
import time
import traceback
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
import structlog
from fastapi.testclient import TestClient

from api.edge import MAX_BODY_BYTES
from api.main import create_app, serve
from api.problems import ApiProblem
from api.security import TRUST_SECONDS, KeyRing, is_loopback
from clv.errors import ConfigError, InputError
from clv.settings import Settings
from storage.api_keys import create_key, find_key, list_keys, revoke_key
from tests.contract.api.test_predictions import FIGURES

if TYPE_CHECKING:
    from fastapi import FastAPI

    from storage.engine import Database

NEEDED = {
    "/api/customers": "read",
    "/api/customers/c001": "read",
    "/api/customers/c001/history": "read",
    "/api/customers/c001/why": "read",
    "/api/segments": "read",
    "/api/segments/changes": "read",
    "/api/distributions": "read",
    "/api/metrics": "read",
    "/api/meta-ads/audiences": "read",
    "/api/meta-ads/budget-allocation": "read",
    "/api/meta-ads/campaigns": "read",
    "/api/meta-ads/budget-changes": "read",
    "/api/dashboard/summary": "read",
    "/api/dashboard/activity": "read",
    "/api/health": "read",
    "/metrics": "read",
    "/api/dead-letters": "operate",
    "/api/dead-letters/clv.orders.v1/0/100": "operate",
}
OPEN = {"/healthz", "/readyz", "/", "/static/{path:path}", "/api/openapi.json"}
ELSEWHERE = {
    "/api/predict",
    "/api/predict/batch",
    "/api/stream",
    "/api/dead-letters/{topic}/{partition}/{offset}/replay",
    "/api/meta-ads/proposals/{proposal_id}/apply",
    "/api/meta-ads/budget-changes/{change_id}/rollback",
}


def _bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def test_every_path_is_either_open_or_needs_a_scope(app: FastAPI) -> None:
    """A path that nobody thought about would be open to all: each one is in a list of these tests."""
    documented = set(app.openapi()["paths"])
    known = {path.replace("c001", "{customer_id}") for path in NEEDED}
    known = {path.replace("clv.orders.v1/0/100", "{topic}/{partition}/{offset}") for path in known}
    assert documented == known | ELSEWHERE | {"/healthz", "/readyz"}


def test_a_key_opens_what_its_scope_allows(app: FastAPI, database: Database) -> None:
    """Without a key 401, with another scope 403, with the right one 200, in either header."""
    keys = {scope: create_key(database, scope, [scope]) for scope in ("read", "predict", "operate")}
    with TestClient(app, base_url="http://shop.example") as client:
        for path, scope in NEEDED.items():
            refused = client.get(path)
            assert (refused.status_code, refused.json()["type"]) == (401, "urn:clv:problem:unauthorised")
            assert refused.headers["www-authenticate"] == "Bearer"
            for given, key in keys.items():
                assert client.get(path, headers=_bearer(key)).status_code == (200 if given == scope else 403), path
                assert client.get(path, headers={"X-API-Key": key}).status_code == (200 if given == scope else 403)
        for given, key in keys.items():
            expected = 200 if given == "predict" else 403
            assert client.post("/api/predict", json=FIGURES, headers=_bearer(key)).status_code == expected
        replay = "/api/dead-letters/clv.orders.v1/0/100/replay"
        assert client.post(replay, headers=_bearer(keys["read"])).status_code == 403
        assert client.post(replay, headers=_bearer(keys["operate"])).status_code == 202
        for path in (f"proposals/{'a' * 32}/apply", f"budget-changes/{'a' * 32}/rollback"):
            assert client.post(f"/api/meta-ads/{path}").status_code == 401
            assert client.post(f"/api/meta-ads/{path}", headers=_bearer(keys["read"])).status_code == 403
            assert client.post(f"/api/meta-ads/{path}", headers=_bearer(keys["operate"])).status_code == 404
        assert client.get("/api/stream", headers=_bearer(keys["predict"])).status_code == 403
        for path in ("/healthz", "/readyz", "/", "/api/openapi.json"):
            assert client.get(path).status_code == 200


@pytest.mark.parametrize(
    "wrong", ["", "x", "clv_", "clv__", "clv_000000000000_secret", "CLV_{id}_{secret}", "clv_{id}_", "clv_{id}_é"]
)
def test_a_wrong_key_is_refused(app: FastAPI, database: Database, wrong: str) -> None:
    """Nothing but the whole key opens anything."""
    key = create_key(database, "shop", ["read"])
    _, key_id, secret = key.split("_", 2)
    presented = wrong.format(id=key_id, secret=secret)
    with TestClient(app, base_url="http://127.0.0.1") as client:
        headers = [(b"authorization", f"Bearer {presented}".encode())]
        assert client.get("/api/customers", headers=headers).status_code == 401
    assert find_key(database, presented) is None


def test_who_is_refused_is_logged_without_what_was_presented(database: Database) -> None:
    """A line says which key, if it is one by its form, and why; a flood of guesses gets sixty lines a minute."""
    key = create_key(database, "shop", ["read"])
    _, key_id, secret = key.split("_", 2)
    ring = KeyRing(database, clock=lambda: 0.0)
    with structlog.testing.capture_logs() as lines:
        with pytest.raises(ApiProblem):
            ring.admit(key, "operate")
        for presented in (f"clv_{key_id}_wrong", "my password", None):
            with pytest.raises(ApiProblem):
                ring.admit(presented, "read")
        assert ring.admit(key, "read").key_id == key_id
    assert [(line["key_id"], line["why"]) for line in lines] == [
        (key_id, "without the scope"),
        (key_id, "no such key holds"),
        ("", "no such key holds"),
        ("", "no key"),
    ]
    assert not [word for word in (secret, "wrong", "password") if word in str(lines)]
    with structlog.testing.capture_logs() as lines:
        for _ in range(200):
            assert not ring.still_allows(None, "read")
    assert len(lines) == 56


def test_a_revoked_key_holds_no_longer(database: Database) -> None:
    """It is refused as soon as what was found before is forgotten; callers still need a key when all are revoked."""
    key = create_key(database, "shop", ["read"])
    now = [0.0]
    ring = KeyRing(database, clock=lambda: now[0])
    assert ring.find(key) is not None
    revoke_key(database, list_keys(database)[0].key_id)
    now[0] += TRUST_SECONDS
    assert ring.find(key) is None
    assert ring.is_needed() is True


def test_secrets_are_not_in_the_database(database: Database) -> None:
    """What is stored is a digest: neither the key nor its secret can be read back."""
    key = create_key(database, "shop", ["read", "operate"])
    secret = key.split("_", 2)[2]
    with database.reading() as connection:
        stored = str(connection.exec_driver_sql("SELECT * FROM api_keys").all())
    assert secret not in stored
    assert list_keys(database)[0].scopes == {"read", "operate"}
    with pytest.raises(InputError, match="not a scope"):
        create_key(database, "shop", ["admin"])


@pytest.mark.parametrize(
    "host",
    [
        "shop.example",
        "evil.example:8000",
        "127.0.0.1.evil.example",
        "10.0.0.5",
        "",
        "localhost:evil.example",
        "[::1",
        "[::1]:x",
    ],
)
def test_without_keys_only_this_machine_is_served(client: TestClient, host: str) -> None:
    """A page elsewhere whose name points here gets nothing."""
    answer = client.get("/api/customers", headers={"host": host})
    assert (answer.status_code, answer.json()["type"]) == (421, "urn:clv:problem:wrong-host")


def test_without_keys_it_refuses_to_listen_to_others(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Listening beyond loopback without a key is a configuration error that names the setting."""
    folder = tmp_path_factory.mktemp("open")
    with pytest.raises(ConfigError, match=r"CLV_API_HOST is 0\.0\.0\.0"):
        serve(Settings(data_dir=folder, api_host="0.0.0.0", api_port=0))
    assert [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "192.168.0.1")] == [True, True, True, False]


def test_a_body_that_is_too_large_is_refused(client: TestClient) -> None:
    """By its header at once, and while it is read where the header lies or there is none."""
    large = b" " * (MAX_BODY_BYTES + 1)
    by_header = client.post("/api/predict", content=large)
    assert (by_header.status_code, by_header.json()["type"]) == (413, "urn:clv:problem:too-large")
    by_reading = client.post("/api/predict", content=iter([large]))
    assert by_reading.status_code == 413
    assert client.post("/api/predict", content=b"{}", headers={"content-length": "many"}).status_code == 413


def test_a_path_that_is_too_long_is_refused(client: TestClient) -> None:
    """Kilobytes of query are nobody's honest question."""
    assert client.get(f"/api/customers?search={'x' * 5_000}").status_code == 413


def test_who_asks_too_often_is_slowed(database: Database) -> None:
    """Beyond the rate a caller gets 429 with a time to wait, and another caller is not hindered."""
    app = create_app(Settings(api_rate_per_second=5), database)
    with TestClient(app, base_url="http://127.0.0.1") as client:
        answers = [client.get("/healthz") for _ in range(30)]
        assert {answer.status_code for answer in answers} == {200, 429}
        slowed = next(answer for answer in answers if answer.status_code == 429)
        assert slowed.headers["retry-after"] == "1"
        made_up = [{"X-API-Key": "another"}, {"Authorization": "Basic x"}, {"Authorization": "Bearer clv_a_b"}]
        assert [client.get("/healthz", headers=headers).status_code for headers in made_up] == [429] * 3


def test_a_key_has_a_rate_of_its_own(database: Database) -> None:
    """However it is sent, it counts as one caller, and not as its address."""
    key = create_key(database, "shop", ["read"])
    app = create_app(Settings(api_rate_per_second=5), database)
    ways = [{"X-API-Key": key, "Authorization": f"Basic {n}"} for n in range(9)]
    ways += [{"Authorization": f"Bearer {' ' * n}{key}"} for n in range(9)]
    with TestClient(app, base_url="http://127.0.0.1") as client:
        assert client.get("/api/health", headers=ways[0]).status_code == 200
        assert {client.get("/api/health", headers=headers).status_code for headers in ways} == {200, 429}
        time.sleep(1.1)
        assert {client.get("/healthz").status_code for _ in range(9)} == {200, 429}
        assert client.get("/api/health", headers=ways[0]).status_code == 200


def test_a_key_that_is_too_long_is_not_looked_up(app: FastAPI, database: Database) -> None:
    """Nor remembered: ten of ten megabytes would stay."""
    create_key(database, "shop", ["read"])
    ring: KeyRing = app.state.keys
    assert ring.find("x" * 201) is None
    assert ring._found == {}


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"x-forwarded-for": "203.0.113.9"},
        {"via": "1.1 proxy"},
    ],
    ids=str,
)
def test_without_keys_no_other_site_changes_anything(client: TestClient, headers: dict[str, str]) -> None:
    """A form on any page can reach this machine's loopback address, and a proxy is somebody else's."""
    answer = client.post("/api/dead-letters/clv.orders.v1/0/7/replay", headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (421, "urn:clv:problem:wrong-host")
    own = client.post(
        "/api/dead-letters/clv.orders.v1/0/7/replay",
        headers={"origin": "http://127.0.0.1", "sec-fetch-site": "same-origin"},
    )
    assert own.status_code != 421


def test_what_the_log_says_names_nobody(client: TestClient, database: Database) -> None:
    """A failed request's path and statement may hold a customer's id."""
    with database.writing() as connection:
        connection.exec_driver_sql("ALTER TABLE customers RENAME TO elsewhere")
    with structlog.testing.capture_logs() as lines:
        answer = client.get("/api/customers/jane.doe@example.com")
    (line,) = [line for line in lines if line["event"] == "request failed"]
    said = "".join(traceback.format_exception(line.pop("exc_info"))) + str(line) + answer.text
    assert (answer.status_code, line["route"]) == (500, "/api/customers/{customer_id:path}")
    assert "customers" in said
    assert "jane.doe" not in said


def test_headers_guard_every_answer(client: TestClient) -> None:
    """Pages, data and problems carry the policy; nobody elsewhere is let in by CORS."""
    for path in ("/", "/api/customers", "/api/nothing", "/static/app.css"):
        answer = client.get(path, headers={"origin": "https://evil.example"})
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert "access-control-allow-origin" not in answer.headers
        assert "server" not in answer.headers


@pytest.mark.parametrize(
    "path",
    ["/static/../main.py", "/static/..%2Fmain.py", "/static/%2e%2e/%2e%2e/pyproject.toml", "/static//etc/passwd"],
)
def test_files_outside_the_dashboard_are_not_served(client: TestClient, path: str) -> None:
    """No way up leads out of the folder."""
    assert client.get(path).status_code in (404, 405)


def test_an_answer_that_the_caller_has_is_not_sent_again(client: TestClient) -> None:
    """The tag of an answer brings 304 without a body, until the answer is another."""
    first = client.get("/api/customers/c001")
    again = client.get("/api/customers/c001", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    other = client.get("/api/customers/c002", headers={"if-none-match": first.headers["etag"]})
    assert other.status_code == 200


def test_large_answers_are_compressed(client: TestClient) -> None:
    """Who takes gzip gets it."""
    assert client.get("/api/customers", headers={"accept-encoding": "gzip"}).headers["content-encoding"] == "gzip"


@pytest.mark.parametrize("path", ["/nothing", "/api/nothing", "/api/customers/"])
def test_unknown_paths_are_problems(client: TestClient, path: str) -> None:
    """What is not there is problem+json too."""
    answer = client.get(path)
    assert answer.status_code in (404, 422)
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_wrong_method_is_a_problem(client: TestClient) -> None:
    """405 says which methods there are."""
    answer = client.delete("/api/customers/c001")
    assert (answer.status_code, answer.headers["content-type"]) == (405, "application/problem+json")
    assert "GET" in answer.headers["allow"]


@pytest.mark.parametrize(
    "nasty",
    [
        "'; DROP TABLE customers; --",
        '" OR 1=1 --',
        "<script>alert(1)</script>",
        "%00",
        "../../etc/passwd",
        "{{7*7}}",
        "\u202e",
    ],
)
def test_nasty_text_in_any_field_is_only_text(client: TestClient, nasty: str) -> None:
    """Pieces of SQL, markup, paths and templates in every field bring no failure, and change nothing."""
    before = client.get("/api/customers?limit=200").json()
    gets = {
        "/api/customers": (
            "segment",
            "search",
            "min_clv",
            "last_order_from",
            "last_order_to",
            "sort",
            "order",
            "limit",
            "cursor",
        ),
        "/api/segments": ("days", "to"),
        "/api/meta-ads/budget-allocation": ("total_budget",),
        "/api/meta-ads/campaigns": ("from", "to"),
        "/api/dead-letters": ("reason", "limit", "cursor"),
        "/api/dashboard/activity": ("minutes",),
    }
    answers = [client.get(path, params={name: nasty}) for path, names in gets.items() for name in names]
    answers += [client.post("/api/predict", json={**FIGURES, name: nasty}) for name in FIGURES]
    answers += [client.get(f"/api/customers/{quote(nasty, safe='')}{rest}") for rest in ("", "/history", "/why")]
    assert [answer.status_code for answer in answers if answer.status_code not in (200, 404, 422)] == []
    assert all("<script>" not in answer.text for answer in answers if "html" in answer.headers["content-type"])
    assert client.get("/api/customers?limit=200").json() == before


def test_no_shared_cache_keeps_what_a_key_opens(client: TestClient) -> None:
    """Figures are private; the page's own files are anybody's, checked again each time."""
    kept = {path: client.get(path).headers["cache-control"] for path in ("/api/customers", "/api/nothing", "/")}
    assert kept == {"/api/customers": "private, no-cache", "/api/nothing": "private, no-cache", "/": "no-cache"}


def test_a_caller_who_sends_too_slowly_is_let_go(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that does not come is given up after a while, with 408, and holds no thread of the database meanwhile."""
    monkeypatch.setattr("api.edge.MAX_BODY_SECONDS", 0.2)
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(5)
        return {"type": "http.request", "body": b"", "more_body": True}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    headers = [(b"host", b"127.0.0.1"), (b"content-length", b"100"), (b"content-type", b"application/json")]
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/api/predict",
        "raw_path": b"/api/predict",
        "query_string": b"",
        "headers": headers,
        "client": ("127.0.0.1", 1),
    }
    asyncio.run(app(scope, receive, send))  # type: ignore[arg-type]  # plain ASGI
    assert sent[0]["status"] == 408
    assert b"urn:clv:problem:too-slow" in sent[1]["body"]


def test_without_its_database_it_says_so_and_no_more(client: TestClient, database: Database) -> None:
    """503 with a time to wait, readiness gone, life not; the answer does not tell where the database is."""
    if database.file is None:
        pytest.skip("the file of SQLite can be moved away")
    away = database.file.rename(database.file.with_suffix(".away"))
    answer = client.get("/api/customers")
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:clv:problem:unavailable")
    assert answer.headers["retry-after"] == "2"
    assert str(away.parent) not in answer.text
    assert client.get("/readyz").status_code == 503
    assert client.get("/healthz").status_code == 200
    assert client.get("/metrics").status_code == 503
    away.rename(database.file)
    assert client.get("/api/customers").status_code == 200
