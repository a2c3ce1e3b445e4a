"""Cursors: where a page or a reader of the feed has come to, as opaque text that a caller gives back."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any, TypeVar

import msgspec

from api.problems import ApiProblem

Parts = TypeVar("Parts")
_FEED = re.compile(r"(-?[0-9]{1,9}:[0-9]{1,18})(,-?[0-9]{1,9}:[0-9]{1,18})*")


def encode_cursor(*parts: Any) -> str:
    """Return parts as one text, safe in a URL."""
    return base64.urlsafe_b64encode(msgspec.json.encode(parts)).decode().rstrip("=")


def decode_cursor(text: str, kind: type[Parts]) -> Parts:
    """Return the parts of a cursor of the given type.

    Raises
    ------
    ApiProblem
        When it is none that this path gave out.
    """
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        return msgspec.json.decode(base64.b64decode(padded, altchars=b"-_", validate=True), type=kind)
    except (ValueError, binascii.Error, msgspec.MsgspecError) as problem:
        raise refused("query.cursor") from problem


def refused(field: str) -> ApiProblem:
    """Return the problem of a cursor that was not given out here."""
    why = "is not a cursor that this path gave out: leave it away to begin anew"
    return ApiProblem("invalid-input", f"{field}: {why}", [(field, why)])


def encode_feed(cursor: dict[int, int]) -> str:
    """Return where a reader of the feed is as text.

    Examples
    --------
    >>> encode_feed({1: 20, 0: 3}), decode_feed("0:3,1:20")
    ('0:3,1:20', {0: 3, 1: 20})
    """
    return ",".join(f"{partition}:{seq}" for partition, seq in sorted(cursor.items()))


def decode_feed(text: str) -> dict[int, int]:
    """Return where a reader of the feed is; refuse what is no such text."""
    if not text:
        return {}
    if not _FEED.fullmatch(text):
        raise refused("header.last-event-id")
    return {int(partition): int(seq) for partition, _, seq in (each.partition(":") for each in text.split(","))}
