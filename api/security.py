"""Who may do what: API keys with scopes once there is one, loopback alone before."""

from __future__ import annotations

import ipaddress
import re
import threading
import time
from typing import TYPE_CHECKING, Annotated, Any

import structlog
from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers

from api.problems import ApiProblem
from clv.errors import ConfigError
from storage.api_keys import SCOPES, ApiKey, Scope, find_key, has_keys

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from storage.engine import Database

log = structlog.get_logger(__name__)
TRUST_SECONDS = 5.0
"""How long a key that was found is believed: a revoked one holds that much longer."""
_MOST_REMEMBERED = 1_000
_MOST_LINES = 60
"""Refusals that are logged a minute; a flood of guesses must not become a flood of lines."""
_KEY_ID = re.compile(r"clv_([0-9a-f]{12})_")
_MOST_CHARACTERS = 200
"""Of a key: those that are made have some sixty."""
_ANYBODY = ApiKey("", "anybody on this machine", frozenset(SCOPES), 0)
_HOST = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9.-]+))(?::[0-9]{1,5})?|(?P<bare>[0-9A-Fa-f:]+)")
_bearer = HTTPBearer(auto_error=False, description="A key from `clv keys create`.")
_header = APIKeyHeader(name="X-API-Key", auto_error=False, description="The same key, in a header of its own.")


class KeyRing:
    """Finds presented keys, and remembers for a moment what it found; safe to use from several threads."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._lock = threading.Lock()
        self._found: dict[str, tuple[float, ApiKey | None]] = {}
        self._ids: dict[str, str] = {}
        self._is_needed: tuple[float, bool] = (-TRUST_SECONDS, False)
        self._refused: list[float] = []

    def remembered_need(self) -> bool | None:
        """Return what ``is_needed`` would without asking the database; None when it would ask."""
        asked_at, known = self._is_needed
        return known if known or self._clock() - asked_at < TRUST_SECONDS else None

    def is_needed(self) -> bool:
        """Tell whether callers need a key: once one was made, for ever.

        Raises
        ------
        StoreUnavailable
            When the database does not say.
        """
        known = self.remembered_need()
        if known is None:
            known = has_keys(self._database)
            self._is_needed = (self._clock(), known)
        return known

    def find(self, presented: str) -> ApiKey | None:
        """Return the key that was presented; None when it is none."""
        if len(presented) > _MOST_CHARACTERS:
            return None
        now = self._clock()
        with self._lock:
            asked_at, known = self._found.get(presented, (-TRUST_SECONDS, None))
        if now - asked_at < TRUST_SECONDS:
            return known
        known = find_key(self._database, presented)
        with self._lock:
            if len(self._found) >= _MOST_REMEMBERED:
                self._found.clear()
            self._found[presented] = (now, known)
            if known is not None:
                self._ids[presented] = known.key_id
        return known

    def caller(self, scope: Mapping[str, Any]) -> str:
        """Return whose requests are counted together: a key's that was once found, else an address's."""
        presented = presented_key(Headers(raw=scope["headers"]))
        client = scope.get("client")
        return self._ids.get(presented or "") or (str(client[0]) if client else "unknown")

    def remembers(self, presented: str | None) -> bool:
        """Tell whether ``admit`` answers without asking the database."""
        if not (needed := self.remembered_need()):
            return needed is False
        asked_at, _ = self._found.get(presented or "", (-TRUST_SECONDS, None))
        return not presented or self._clock() - asked_at < TRUST_SECONDS

    def admit(self, presented: str | None, scope: Scope) -> ApiKey:
        """Let those pass who have a key with the scope, and anybody where no key was ever made.

        Raises
        ------
        ApiProblem
            Who has none, or one without the scope.
        StoreUnavailable
            When the database does not say.
        """
        if not self.is_needed():
            return _ANYBODY
        key = self.find(presented) if presented else None
        if key is None:
            self._log_refusal(presented, "no such key holds" if presented else "no key", scope)
            says = "the key is unknown or revoked" if presented else "send a key as Bearer token or X-API-Key"
            raise ApiProblem("unauthorised", says)
        if scope not in key.scopes:
            self._log_refusal(presented, "without the scope", scope)
            raise ApiProblem("forbidden", f"it needs the scope {scope}, the key has {', '.join(sorted(key.scopes))}")
        return key

    def _log_refusal(self, presented: str | None, why: str, scope: Scope) -> None:
        """Note who was refused: a key's id, never what else was presented, which may be a mistyped secret."""
        now = self._clock()
        with self._lock:
            self._refused = [at for at in self._refused if now - at < 60]
            if len(self._refused) >= _MOST_LINES:
                return
            self._refused.append(now)
        found = _KEY_ID.match(presented or "")
        log.warning("api key refused", key_id=found[1] if found else "", why=why, scope=scope)

    def still_allows(self, presented: str | None, scope: Scope) -> bool:
        """Tell whether a caller who was let in with this, or without a key, would be let in now.

        Raises
        ------
        StoreUnavailable
            When the database does not say.
        """
        try:
            self.admit(presented, scope)
        except ApiProblem:
            return False
        return True


def presented_key(headers: Headers) -> str | None:
    """Return the key that a request carries, as Bearer token or in a header of its own."""
    kind, _, token = headers.get("authorization", "").strip().partition(" ")
    if kind.lower() == "bearer" and token.strip():
        return token.strip()
    return headers.get("x-api-key")


def require(scope: Scope) -> Any:
    """Return the dependency of a route that needs a scope; it gives the ``ApiKey``."""

    async def check(
        request: Request,
        bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
        header: Annotated[str | None, Security(_header)],
    ) -> ApiKey:
        """Ask the ring; another thread only where it must ask the database."""
        del bearer, header  # there for the OpenAPI document
        ring: KeyRing = request.app.state.keys
        presented = presented_key(request.headers)
        if ring.remembers(presented):
            return ring.admit(presented, scope)
        return await run_in_threadpool(ring.admit, presented, scope)

    return Depends(check)


def check_listening(host: str, *, has_any_key: bool) -> None:
    """Refuse to listen beyond this machine before there is a key.

    Raises
    ------
    ConfigError
        When the address is not a loopback one.
    """
    if not has_any_key and not is_loopback(host):
        raise ConfigError(
            f"CLV_API_HOST is {host}, and there is no API key: anybody could read and operate",
            "make one with `clv keys create NAME --scope read`, or listen on 127.0.0.1",
        )


def is_loopback(host: str) -> bool:
    """Tell whether a host, as an address or the name localhost, with or without a port, is this machine.

    Examples
    --------
    >>> is_loopback("localhost:8000"), is_loopback("[::1]:80"), is_loopback("0.0.0.0"), is_loopback("evil.example")
    (True, True, False, False)
    """
    found = _HOST.fullmatch(host)
    if found is None:
        return False
    name = (found["v6"] or found["name"] or found["bare"]).lower()
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
