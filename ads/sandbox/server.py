"""The sandbox's HTTP side: Meta's paths over an account in memory, with faults on cue.

What ``/sandbox/...`` answers is for people and tests: what is in the audiences, without names.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
import time
from typing import TYPE_CHECKING, Any, Self

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

from ads.sandbox.state import Account, Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MOST_BYTES = 4_000_000
Fault = str
"""What goes wrong with a request: ``""`` nothing, ``drop`` (connection gone, not done), ``mute`` (done, connection
gone), ``twice`` (done twice), ``busy`` (transient error), ``error`` (500 without a word), ``throttle`` (80003)."""


class Sandbox:
    """A Meta on loopback, running while the block is open.

    Parameters
    ----------
    token
        The access token that it takes.
    account_id
        Of its one ad account, digits.
    port
        0 takes a free one.
    clock
        Epoch milliseconds.
    faults
        Gives what goes wrong with each request.
    """

    def __init__(
        self,
        *,
        token: str,
        account_id: str,
        port: int = 0,
        clock: Callable[[], int] = lambda: round(time.time() * 1_000),
        faults: Callable[[str, str], Fault] = lambda _method, _path: "",
    ) -> None:
        self.account = Account(clock)
        self.account_id = account_id
        self.requests: list[tuple[str, str, bytes]] = []
        self.faults = faults
        self._token = token
        self._listening = socket.create_server(("127.0.0.1", port), backlog=64)
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        app = FastAPI(openapi_url=None)
        app.add_api_route("/sandbox/audiences", self._shown, methods=["GET"])
        app.add_api_route("/{path:path}", self._answer, methods=["GET", "POST", "DELETE"])
        self._server = uvicorn.Server(
            uvicorn.Config(app, log_config=None, log_level="warning", access_log=False, lifespan="off")
        )
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._listening]}, name="sandbox", daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(10)
        self._listening.close()

    async def _shown(self) -> JSONResponse:
        return JSONResponse({a.name: len(a.members) for a in self.account.audiences.values()})

    async def _answer(self, request: Request, path: str) -> Response:
        body = await request.body()
        self.requests.append((request.method, str(request.url), body))
        fault = self.faults(request.method, path)
        if fault == "drop":
            return _Gone()
        if fault == "error":
            return Response("oops", status_code=500)
        try:
            self._fail(fault)
            answer = self._dispatch(request, path, body)
            if fault == "twice":
                with contextlib.suppress(Refusal):
                    self._dispatch(request, path, body)
        except Refusal as refusal:
            return _refused(refusal)
        return _Gone() if fault == "mute" else JSONResponse(answer)

    def _fail(self, fault: Fault) -> None:
        if fault == "busy":
            busy = Refusal(400, 2, message="Service temporarily unavailable")
            busy.is_transient = True
            raise busy
        if fault == "throttle":
            usage = {self.account_id: [{"type": "custom_audience", "estimated_time_to_regain_access": 7}]}
            raise Refusal(400, 80003, 2446079, "too many calls", x_business_use_case_usage=json.dumps(usage))

    def _dispatch(self, request: Request, path: str, content: bytes) -> dict[str, Any]:
        if "access_token" in request.query_params:
            raise Refusal(400, 100, message="the token belongs in a header")
        if request.headers.get("authorization") != f"Bearer {self._token}":
            raise Refusal(401, 190, message="Invalid OAuth access token")
        if len(content) > MOST_BYTES:
            raise Refusal(413, 100, message="the body is too large")
        try:
            body = json.loads(content) if content else {}
        except ValueError:
            raise Refusal(400, 100, message="the body is not JSON") from None
        parts = path.split("/")[1:]
        method = "DELETE" if body.get("method") == "DELETE" else request.method
        return self._route(method, parts, body, dict(request.query_params))

    def _route(self, method: str, parts: list[str], body: dict[str, Any], query: dict[str, str]) -> dict[str, Any]:
        if len(parts) == 2 and self._is_account(parts[0]):
            return self._of_account(method, parts[1], body, query)
        account = self.account
        match method, parts:
            case "POST", [_, "events"]:
                return account.take_events(body)
            case "GET", [audience_id, "ads"]:
                return {"data": [{"id": "1"}] if account.audience(audience_id).is_in_use else []}
            case "POST", [audience_id, "users"]:
                return account.add(account.audience(audience_id), body)
            case "DELETE", [audience_id, "users"]:
                return account.remove(account.audience(audience_id), body)
            case "POST", [audience_id, "usersreplace"]:
                return account.replace(account.audience(audience_id), body)
            case "POST", [ad_set_id]:
                return account.edit_budget(ad_set_id, body)
        raise Refusal(400, 100, 33, "Unsupported request")

    def _of_account(self, method: str, edge: str, body: dict[str, Any], query: dict[str, str]) -> dict[str, Any]:
        account = self.account
        match method, edge:
            case "GET", "customaudiences":
                return _page([account.describe(each) for each in account.audiences.values()], query)
            case "POST", "customaudiences":
                return {"id": account.create(body)}
            case "DELETE", "usersofanyaudience":
                return account.erase(body)
            case "GET", "adsets":
                return _page([_ad_set(each) for each in account.ad_sets.values()], query)
            case "GET", "minimum_budgets":
                named = {"currency": "USD", "min_daily_budget_low_freq": account.minimum_budget}
                return _page([{"currency": "EUR", "min_daily_budget_low_freq": 1}, named], query)
            case "GET", "insights":
                period = json.loads(query.get("time_range") or "{}")
                since, until = period.get("since", ""), period.get("until", "9999")
                return _page([row for row in account.insights if since <= row["date_start"] <= until], query)
        raise Refusal(400, 100, 33, "Unsupported request")

    def _is_account(self, owner: str) -> bool:
        if owner.startswith("act_") and owner != f"act_{self.account_id}":
            raise Refusal(400, 200, message="the token may not manage this ad account")
        return owner == f"act_{self.account_id}"


class _Gone(Response):
    """No answer: the connection is cut."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Promise more than is sent, so that the server cuts the connection."""
        del scope, receive
        headers = [(b"content-type", b"application/json"), (b"content-length", b"100")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"{", "more_body": True})
        raise asyncio.CancelledError


def _refused(refusal: Refusal) -> JSONResponse:
    error = {
        "message": refusal.message,
        "code": refusal.code,
        "error_subcode": refusal.subcode or None,
        "is_transient": refusal.is_transient,
    }
    return JSONResponse({"error": error}, status_code=refusal.status, headers=refusal.headers)


def _page(items: list[dict[str, Any]], query: dict[str, str]) -> dict[str, Any]:
    start, size = int(query.get("after") or 0), int(query.get("limit") or 25)
    end = start + size
    paging: dict[str, Any] = {"cursors": {"after": str(end)}}
    if end < len(items):
        paging["next"] = "more"
    return {"data": items[start:end], "paging": paging}


def _ad_set(ad_set: Any) -> dict[str, Any]:
    return {
        "id": ad_set.ad_set_id,
        "name": ad_set.name,
        "daily_budget": str(ad_set.daily_budget),
        "learning_stage_info": {"status": ad_set.learning},
    }


@contextlib.contextmanager
def sandbox(**options: Any) -> Iterator[Sandbox]:
    """Give a running sandbox; the options are ``Sandbox``'s."""
    with Sandbox(**options) as running:
        yield running
