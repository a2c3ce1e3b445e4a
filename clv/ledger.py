"""A customer's ledger: what was bought, given back and read, packed into 32 bytes an entry and sorted by event time.

It is the memory that makes a repeated event change nothing, a refund find its order whatever came first, and
an event out of order fold in where it belongs. Ids are kept as 64-bit keyed fingerprints; entries older than the
duplicate window are folded into totals and dropped, so that memory a customer is bounded by ``MAX_ENTRIES``.
"""

from __future__ import annotations

import struct
from bisect import insort
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_ENTRIES = 4096
"""Most entries a customer: 128 KiB; beyond it the oldest are folded away and events older than those are too late."""
ENTRY_BYTES = 32
ORDER, REFUND, SENT, OPENED, CLICKED = range(5)
EMAIL_KINDS = {"sent": SENT, "opened": OPENED, "clicked": CLICKED}
NO_REF = 0

_ENTRY = struct.Struct("<qQQq")
_WORD = struct.Struct("<Q")
_ID_COLUMN, _REF_COLUMN = 8, 16


class Entry(NamedTuple):
    """One line; ``id`` is the order's, refund's or e-mail event's fingerprint.

    ``ref`` is the event id's fingerprint for an order, the order's for a refund that names one, else ``NO_REF``.
    Entries sort by time, kind and id, so that a ledger's order says nothing about the order of arrival.
    """

    at_ms: int
    kind: int
    id: int
    ref: int
    amount_minor: int


@lru_cache(maxsize=16)  # an event's ids are asked for when it is looked up, and again when it is entered
def fingerprint(domain: str, text: str) -> int:
    """Return 64 bits that stand for an id; the domain keeps equal texts of different kinds apart.

    Examples
    --------
    >>> fingerprint("order", "1") == fingerprint("refund", "1")
    False
    """
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8, key=domain.encode()).digest()
    return int.from_bytes(digest, "little")


def pack(entries: Iterable[Entry]) -> bytes:
    """Write sorted entries as bytes."""
    return b"".join([_ENTRY.pack(e.at_ms, e.id, e.ref, e.amount_minor << 3 | e.kind) for e in entries])


def unpack(ledger: bytes) -> list[Entry]:
    """Read all entries."""
    return [Entry(at, tail & 7, id_, ref, tail >> 3) for at, id_, ref, tail in _ENTRY.iter_unpack(ledger)]


def with_entry(entries: list[Entry], entry: Entry) -> list[Entry]:
    """Return the entries with one more at its place."""
    result = entries.copy()
    insort(result, entry)
    return result


def last(ledger: bytes) -> Entry:
    """Return the last entry of a ledger that has one."""
    return _entry_at(ledger, len(ledger) - ENTRY_BYTES)


def inserted(ledger: bytes, entry: Entry) -> bytes:
    """Return the ledger with one more entry at its place, found by bisection."""
    low, high = 0, length(ledger)
    while low < high:
        middle = (low + high) // 2
        if _entry_at(ledger, middle * ENTRY_BYTES) < entry:
            low = middle + 1
        else:
            high = middle
    place = low * ENTRY_BYTES
    return b"".join((ledger[:place], pack([entry]), ledger[place:]))


def has_id(ledger: bytes, fingerprint_: int) -> bool:
    """Tell whether an entry has this id."""
    return _find(ledger, fingerprint_, _ID_COLUMN) >= 0


def has_ref(ledger: bytes, fingerprint_: int) -> bool:
    """Tell whether an entry refers to this fingerprint."""
    return _find(ledger, fingerprint_, _REF_COLUMN) >= 0


def first_ms(ledger: bytes) -> int:
    """Return the oldest entry's time."""
    return int(_ENTRY.unpack_from(ledger)[0])


def length(ledger: bytes) -> int:
    """Return the number of entries."""
    return len(ledger) // ENTRY_BYTES


class Effect(NamedTuple):
    """What an entry does when its time comes: to net revenue, and to what has been refunded."""

    net_minor: int
    refunded_minor: int


NO_EFFECT = Effect(0, 0)


def effects(entries: list[Entry]) -> list[Effect]:
    """Return each entry's effect; the entries are whole and sorted, so the result depends on their set alone.

    An order adds its total. A refund of an order takes, in event time, at most what is left of it; one dated before
    its order takes effect with the order, one of an order unknown takes none, one that names no order takes all.
    """
    left: dict[int, int] = {}
    early: dict[int, int] = {}
    result = []
    for entry in entries:
        if entry.kind == ORDER:
            refunded = min(entry.amount_minor, early.get(entry.id, 0))
            left[entry.id] = entry.amount_minor - refunded
            result.append(Effect(entry.amount_minor - refunded, refunded))
        elif entry.kind != REFUND:
            result.append(NO_EFFECT)
        elif entry.ref == NO_REF:
            result.append(Effect(-entry.amount_minor, entry.amount_minor))
        elif entry.ref in left:
            taken = min(entry.amount_minor, left[entry.ref])
            left[entry.ref] -= taken
            result.append(Effect(-taken, taken))
        else:
            early[entry.ref] = early.get(entry.ref, 0) + entry.amount_minor
            result.append(NO_EFFECT)
    return result


def effect_of_last(ledger: bytes, entry: Entry) -> Effect:
    """Return the effect of an entry later than all in the ledger; the same as ``effects`` would, without its cost."""
    if entry.kind == ORDER:
        refunded = min(entry.amount_minor, _refunds(ledger, entry.id))
        return Effect(entry.amount_minor - refunded, refunded)
    if entry.kind != REFUND:
        return NO_EFFECT
    if entry.ref == NO_REF:
        return Effect(-entry.amount_minor, entry.amount_minor)
    place = _find(ledger, entry.ref, _ID_COLUMN)
    if place < 0:
        return NO_EFFECT
    total = _ENTRY.unpack_from(ledger, place)[3] >> 3
    refunds = _refunds(ledger, entry.ref)
    taken = min(total, refunds + entry.amount_minor) - min(total, refunds)
    return Effect(-taken, taken)


def _refunds(ledger: bytes, order: int) -> int:
    """Return the sum of the refunds that name an order, whatever its total."""
    total, start = 0, 0
    while (start := _find(ledger, order, _REF_COLUMN, start)) >= 0:
        total += _ENTRY.unpack_from(ledger, start)[3] >> 3
        start += ENTRY_BYTES
    return total


def _entry_at(ledger: bytes, place: int) -> Entry:
    at, id_, ref, tail = _ENTRY.unpack_from(ledger, place)
    return Entry(at, tail & 7, id_, ref, tail >> 3)


def _find(ledger: bytes, fingerprint_: int, column: int, start: int = 0) -> int:
    """Return the offset of the first entry at or after ``start`` with this word in the column, else -1."""
    word = _WORD.pack(fingerprint_)
    place = ledger.find(word, start)
    while place >= 0:
        if place % ENTRY_BYTES == column:
            return place - column
        place = ledger.find(word, place + 1)
    return -1
