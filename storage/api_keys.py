"""API keys: made, checked, revoked. The database holds the SHA-256 of a secret, from which nobody gets it back."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from sqlalchemy import func, insert, select, update

from clv.errors import InputError
from storage import tables

if TYPE_CHECKING:
    from collections.abc import Collection

    from storage.engine import Database

Scope = Literal["read", "predict", "operate"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
PREFIX = "clv"

_keys = tables.api_keys


class ApiKey(NamedTuple):
    """What is known of a key; ``revoked_ms`` is −1 while it holds, moments are epoch milliseconds."""

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
    key_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    row = {
        "key_id": key_id,
        "name": name,
        "scopes": " ".join(scope for scope in SCOPES if scope in scopes),
        "digest": _digest(secret),
        "created_ms": round(time.time() * 1000),
        "revoked_ms": -1,
    }
    with database.writing() as connection:
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
    if not is_right or row is None or prefix != PREFIX or row["revoked_ms"] >= 0:
        return None
    return ApiKey(key_id, row["name"], frozenset(row["scopes"].split()), row["created_ms"])


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
        now_ms = round(time.time() * 1000)
        changed = connection.execute(statement.where(_keys.c.revoked_ms < 0).values(revoked_ms=now_ms)).rowcount
        if not changed and not connection.execute(select(_keys.c.key_id).where(_keys.c.key_id == key_id)).all():
            raise InputError(f"there is no key {key_id!r}", "clv keys list shows them")


def has_keys(database: Database) -> bool:
    """Tell whether a key was ever made: from then on callers need one, though all be revoked."""
    with database.reading() as connection:
        return bool(connection.execute(select(func.count()).select_from(_keys)).scalar_one())


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
