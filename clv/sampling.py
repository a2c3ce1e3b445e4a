"""Which of many are drawn: those whose ids have the smallest hash, so that one keeps its place when others come."""

from __future__ import annotations

import hashlib


def draw_key(name: str, seed: int) -> bytes:
    """Return what decides a draw: the ``limit`` names with the smallest keys are the sample.

    A function of name and seed alone: a sample drawn as names come is the one drawn from all of them at the end.

    Examples
    --------
    >>> sorted("abc", key=lambda name: draw_key(name, 0)) == sorted("cab", key=lambda name: draw_key(name, 0))
    True
    """
    salt = seed.to_bytes(8, "big", signed=True)
    return hashlib.blake2b(name.encode(), digest_size=8, salt=salt).digest()
