"""API keys: made, rotated, checked, revoked; each of it is logged, without the secret.

The database holds the SHA-256 of a secret, from which nobody gets it back.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

import structlog
from sqlalchemy import func, insert, or_, select, update

from clv.errors import InputError
from storage import tables

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection

    from storage.engine import Database

log = structlog.get_logger(__name__)
Scope = Literal["read", "predict", "operate"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
PREFIX = "clv"

MOST_OVERLAP_HOURS = 24 * 30
_HOUR_MS = 3_600_000

_keys = tables.api_keys


class ApiKey(NamedTuple):
    """What is known of a key; ``revoked_ms`` is −1 while it holds without an end, moments are epoch milliseconds.

    One that was rotated holds until ``revoked_ms``, which may lie ahead.
    """

    key_id: str
    name: str
    scopes: frozenset[str]
    created_ms: int
    revoked_ms: int = -1


def create_key(database: Database, name: str, scopes: Collection[str]) -> str:
    """Make a key and return it: ``clv_ID_SECRET``, the only time that it is to be seen.

    Raises
    ------
    InputError
        When a scope is unknown or there is none.
    StoreUnavailable
        When a retry may help.
    """
    if unknown := sorted(set(scopes).difference(SCOPES)) or ([""] if not scopes else []):
        raise InputError(f"{unknown[0]!r} is not a scope", f"one or more of {', '.join(SCOPES)}")
    ordered = " ".join(scope for scope in SCOPES if scope in scopes)
    with database.writing() as connection:
        key = _make(connection, name, ordered)
    log.info("api key made", key_id=key.split("_")[1], name=name, scopes=ordered)
    return key


def rotate_key(database: Database, key_id: str, *, overlap_hours: float = 0) -> str:
    """Make a key of the same name and scopes in place of one that holds, and return it; both at once or neither.

    Parameters
    ----------
    overlap_hours
        How long the old one still holds, so that its callers can change over.

    Raises
    ------
    InputError
        When none of this id holds, or the overlap is none.
    """
    if not 0 <= overlap_hours <= MOST_OVERLAP_HOURS:
        raise InputError(f"an overlap of {overlap_hours:g} hours cannot be", f"0 to {MOST_OVERLAP_HOURS}")
    now_ms = _now_ms()
    until_ms = now_ms + round(overlap_hours * _HOUR_MS)
    with database.writing() as connection:
        # The old key is locked by ending it first: of two rotations at once the second finds none that holds.
        ended = update(_keys).where(_keys.c.key_id == key_id, _keys.c.revoked_ms < 0).values(revoked_ms=until_ms)
        if not connection.execute(ended).rowcount:
            raise InputError(f"no key {key_id!r} holds without an end", "clv keys list shows them")
        old = connection.execute(select(_keys.c.name, _keys.c.scopes).where(_keys.c.key_id == key_id)).one()
        key = _make(connection, old.name, old.scopes)
    log.info("api key rotated", key_id=key_id, new_id=key.split("_")[1], name=old.name, overlap_hours=overlap_hours)
    return key


def _make(connection: Connection, name: str, scopes: str) -> str:
    key_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    row = {
        "key_id": key_id,
        "name": name,
        "scopes": scopes,
        "digest": _digest(secret),
        "created_ms": _now_ms(),
        "revoked_ms": -1,
    }
    connection.execute(insert(_keys), [row])
    return f"{PREFIX}_{key_id}_{secret}"


def find_key(database: Database, presented: str) -> ApiKey | None:
    """Return the key that a caller presents; None when it is none, wrong or revoked.

    Notes
    -----
    A secret has 256 random bits: a fast digest of it is as safe as a slow one. It is compared in constant time, and
    against something for unknown ids too.
    """
    prefix, _, rest = presented.partition("_")
    key_id, _, secret = rest.partition("_")
    query = select(_keys).where(_keys.c.key_id == key_id)
    with database.reading() as connection:
        row = connection.execute(query).mappings().one_or_none()
    is_right = hmac.compare_digest(_digest(secret), row["digest"] if row else _digest(""))
    if not is_right or row is None or prefix != PREFIX or 0 <= row["revoked_ms"] <= _now_ms():
        return None
    return ApiKey(key_id, row["name"], frozenset(row["scopes"].split()), row["created_ms"], row["revoked_ms"])


def list_keys(database: Database) -> list[ApiKey]:
    """Return every key that was ever made, oldest first."""
    with database.reading() as connection:
        rows = connection.execute(select(_keys).order_by(_keys.c.created_ms, _keys.c.key_id)).mappings()
        return [
            ApiKey(row["key_id"], row["name"], frozenset(row["scopes"].split()), row["created_ms"], row["revoked_ms"])
            for row in rows
        ]


def revoke_key(database: Database, key_id: str) -> None:
    """Let a key hold no longer; one that was revoked stays so.

    Raises
    ------
    InputError
        When there is none of this id.
    """
    with database.writing() as connection:
        statement = update(_keys).where(_keys.c.key_id == key_id)
        now_ms = _now_ms()
        holds = or_(_keys.c.revoked_ms < 0, _keys.c.revoked_ms > now_ms)
        changed = connection.execute(statement.where(holds).values(revoked_ms=now_ms)).rowcount
        if not changed and not connection.execute(select(_keys.c.key_id).where(_keys.c.key_id == key_id)).all():
            raise InputError(f"there is no key {key_id!r}", "clv keys list shows them")
    log.info("api key revoked", key_id=key_id)


def has_keys(database: Database) -> bool:
    """Tell whether a key was ever made: from then on callers need one, though all be revoked."""
    with database.reading() as connection:
        return bool(connection.execute(select(func.count()).select_from(_keys)).scalar_one())


def _now_ms() -> int:
    return round(time.time() * 1000)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
