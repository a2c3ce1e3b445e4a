"""Under what name an erased customer is remembered, so that nothing of before the erasure counts again."""

from __future__ import annotations

import hmac

REMAINS_PREFIX = "\x00erased:"


def digest_of(customer_id: str, key: bytes) -> str:
    """Return the name under which a customer is suppressed: HMAC-SHA-256 of their id, hexadecimal.

    Without the key nobody can tell whom it stands for by trying ids; an empty key keeps nobody from trying.
    """
    return hmac.digest(key, customer_id.encode(), "sha256").hex()


def remains_name(customer_id: str, key: bytes) -> str:
    """Return the row key of what remains of an erased customer; no customer's own can begin so."""
    return REMAINS_PREFIX + digest_of(customer_id, key)


def erasure_time_ms(now_ms: int, front_ms: int, far_ahead_ms: int) -> int:
    """Return the event time of an erasure that is asked for now, epoch milliseconds.

    Everything that happened up to then is erased. On a log of the past that is where its time has come to: an event
    of today would wait there until others agree.

    Parameters
    ----------
    now_ms
        The clock.
    front_ms
        The latest event time that the customer's partition has seen; negative where nothing came yet.
    far_ahead_ms
        How far an event may move time by itself.

    Examples
    --------
    >>> erasure_time_ms(1_000, 990, 100), erasure_time_ms(1_000, 500, 100), erasure_time_ms(1_000, -1, 100)
    (1000, 500, 1000)
    """
    return max(now_ms, front_ms) if front_ms < 0 or now_ms - front_ms <= far_ahead_ms else front_ms
