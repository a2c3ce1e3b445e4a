"""Valid samples made hostile: their structure bent, their values made odd, their bytes broken; all from one seed."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from random import Random

NUMBERS: tuple[Any, ...] = (
    *(0, -0.0, 1, -1, 0.1, 1e-400, 1e308, -1e308, float("nan"), float("inf"), float("-inf")),
    *(2**31, -(2**31) - 1, 2**53 + 1, 2**63 - 1, 2**63, -(2**63) - 1, 2**64, 10**20, 10**400, True, False),
)
AMOUNTS = (
    *("1e999999999", "-1e999999999", "0x10", "１２", "+1", " 1", "1_000", "9" * 400, ".5", "5.", "-0", "", "1.005"),
    *("NaN", "Infinity", "1,5", "99999999999999.99", "0." + "0" * 300 + "1", "-1.00", "1\u0660"),
)
TIMES = (
    *("2024-02-30T12:00:00Z", "2024-03-01T12:00:00", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+23:59"),
    *("2024-03-01T12:00:60Z", "2024-03-01T12:00:00+99:99", "2024-03-01 12:00:00Z", "1969-12-31T23:59:59Z"),
    *("2200-01-01T00:00:00.001Z", "2024-W10-1T00:00:00Z", "20240301T120000Z", "2024-03-01T12:00:00.123456789Z", "now"),
)
TEXTS = (
    *("", " ", "\x00", "a\x00b", "x" * 256, "x" * 257, "x" * 5_000, "\ud800", "\udfff\ud800", "\ufffd", "\ufeff"),
    *(
        "ü" * 256,
        "\U0001f600" * 256,
        "../../etc/passwd",
        "' OR 1=1 --",
        "<script>",
        "%00",
        "\r\n\r\n",
        "\u202e",
        "null",
    ),
    *("=cmd|' /C calc'!A0", "${jndi:ldap://x}", "{{7*7}}", "\\", '"', "\x1b[31m", "partition-0", "\x00partition"),
)
TOKENS = (
    *(b"\x00", b"\xff", b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80", b'"', b"\\", b"\\u0000", b"\\ud800"),
    *(b"{", b"}", b"[", b"]", b",", b":", b"null", b"NaN", b"-", b"1e999", b"\n", b"\r", b"\t", b"\x1f\x8b", b"PAR1"),
)
_KINDS = ("number", "amount", "time", "text", "empty", "nested", "copy")


def odd_value(rng: Random) -> Any:
    """Return a value that a careless reader stumbles over."""
    kind = rng.choice(_KINDS)
    if kind == "number":
        return rng.choice(NUMBERS) if rng.random() < 0.7 else rng.randint(-(10**19), 10**19)
    if kind == "amount":
        return rng.choice(AMOUNTS)
    if kind == "time":
        return rng.choice(TIMES)
    if kind == "text":
        return odd_text(rng)
    if kind == "empty":
        return rng.choice([None, [], {}, [None], {"": None}])
    return [odd_value(rng) for _ in range(rng.randint(0, 3))] if kind == "nested" else {"type": odd_text(rng)}


def odd_text(rng: Random) -> str:
    """Return a text that is no good id, name or label; now and then an ordinary one."""
    if rng.random() < 0.2:
        return "".join(chr(rng.randint(1, 0x10FFFF)) for _ in range(rng.randint(1, 12)))
    if rng.random() < 0.004:
        return "y" * rng.choice([70_000, 300_000, 1_100_000])
    return rng.choice(TEXTS)


def bend(rng: Random, body: dict[str, Any], *, most: int = 3) -> dict[str, Any]:
    """Return a copy with some fields dropped, replaced, exchanged, added, or bent inside."""
    bent = copy.deepcopy(body)
    for _ in range(rng.randint(1, most)):
        _bend_once(rng, bent)
    return bent


def _bend_once(rng: Random, body: dict[str, Any]) -> None:
    names = list(body)
    if not names or rng.random() < 0.05:
        body[odd_text(rng)] = odd_value(rng)
        return
    name = rng.choice(names)
    inner = body[name]
    action = rng.random()
    if isinstance(inner, dict) and inner and action < 0.7:
        _bend_once(rng, inner)
    elif isinstance(inner, list) and inner and isinstance(inner[0], dict) and action < 0.6:
        _bend_once(rng, inner[0])
    elif action < 0.1:
        del body[name]
    elif action < 0.2:
        other = rng.choice(names)
        body[name], body[other] = body[other], body[name]
    elif isinstance(inner, str) and action < 0.35:
        place = rng.randint(0, len(inner))
        body[name] = inner[:place] + odd_text(rng) + inner[place:]
    else:
        body[name] = odd_value(rng)


def written(rng: Random, body: dict[str, Any]) -> bytes:
    """Write a body as JSON, or nearly: as ASCII or not, with a field twice, or one nested deeper than any reader."""
    as_ascii = rng.random() < 0.5
    text = json.dumps(body, ensure_ascii=as_ascii).encode("utf-8", "surrogatepass")
    chance = rng.random()
    if chance < 0.02 and len(body):
        name = json.dumps(rng.choice(list(body)))
        return text[:-1] + f", {name}: {json.dumps(odd_value(rng))}}}".encode()
    if chance < 0.03:
        depth = rng.choice([10, 900, 1_100, 20_000])
        pair = rng.choice([(b"[", b"]"), (b'{"a":', b"}")])
        middle = pair[0] * depth + (b"1" if rng.random() < 0.7 else b"") + pair[1] * depth
        return text[:-1] + b', "deep": ' + middle + b"}"
    return text


def broken(rng: Random, data: bytes, *, other: bytes = b"") -> bytes:
    """Return bytes with some flipped, cut, doubled, put in, or spliced with another sample's."""
    found = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 2, 4, 16])):
        place = rng.randint(0, len(found))
        action = rng.randint(0, 6)
        if action == 0 and place < len(found):
            found[place] ^= 1 << rng.randint(0, 7)
        elif action == 1 and place < len(found):
            found[place] = rng.randint(0, 255)
        elif action == 2:
            del found[place : place + rng.choice([1, 2, 8, 64, len(found)])]
        elif action == 3:
            found[place:place] = rng.choice(TOKENS)
        elif action == 4:
            end = place + rng.choice([1, 4, 32, 128])
            found[place:place] = found[place:end]
        elif action == 5:
            found[place:place] = rng.randbytes(rng.choice([1, 2, 4, 8, 40]))
        else:
            found[place:] = other[min(place, len(other)) :]
    return bytes(found)
