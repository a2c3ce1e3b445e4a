"""What the table holds for one customer, and its bytes.

A row is a fixed header (when the next timer is due, the last source offset applied, of which incarnation of the
topic) and a msgpack body, so that recovery can index timers without decoding bodies.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

import msgspec

from clv.errors import IncompatibleArtifact
from clv.outcomes import Segment
from clv.totals import Totals

if TYPE_CHECKING:
    from collections.abc import Sequence

NEVER_MS = 2**62
ROW_FORMAT = 2
_HEADER = struct.Struct("<BqqI")


class Pending(msgspec.Struct, array_like=True):
    """A snapshot whose label is still open: what was known and predicted at ``at_ms``, value realised since.

    ``scored`` packs float32: the features, then clv, btyd, glm, online, ensemble and naive predictions in minor units;
    it is empty until the batch that created it has been scored. ``previous_ms`` is the snapshot before, for undoing.
    """

    at_ms: int
    previous_ms: int
    is_silence: bool
    value_minor: int = 0
    scored: bytes = b""
    scorer_version: str = ""


class CustomerState(msgspec.Struct, array_like=True):
    """All that is known of one customer; changed only by ``clv.rfm``, but for the last four fields by ``clv.pipeline``.

    ``base`` is the fold of entries that left the ledger, all at or before ``pruned_ms``. ``categories`` maps a
    category's fingerprint to when it was first seen. ``silence_step`` counts the silence moments passed since the
    last order. ``erased_ms`` is the time up to which the customer has been forgotten.
    """

    totals: Totals = msgspec.field(default_factory=Totals)
    ledger: bytes = b""
    latest_ms: int = -1
    base: Totals | None = None
    pruned_ms: int = -1
    pending: list[Pending] = []
    last_snapshot_ms: int = -1
    silence_step: int = 0
    erased_ms: int = -1
    acquired_ms: int = -1
    source: str = ""
    campaign_type: str = ""
    acquisition_cost_minor: int = -1
    categories: dict[int, int] = {}
    segment: Segment | None = None
    clv_minor: int = -1
    scorer_version: str = ""
    policy_version: str = ""


class Row(msgspec.Struct):
    """A customer's state, its place in the source, and when its next timer is due.

    ``applied_offset`` is −1 for another incarnation's row.
    """

    state: CustomerState
    applied_offset: int = -1
    due_ms: int = NEVER_MS


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(CustomerState)


def incarnation_code(topic_id: str) -> int:
    """Return 32 bits that stand for a topic's identity in row headers."""
    return zlib.crc32(topic_id.encode())


def encode_row(row: Row, incarnation: int) -> bytes:
    """Write a row; see the module for its form."""
    return _HEADER.pack(ROW_FORMAT, row.due_ms, row.applied_offset, incarnation) + _encoder.encode(row.state)


def decode_row(row: bytes, incarnation: int) -> Row:
    """Read a row; an offset applied in another incarnation of the source topic means nothing and becomes −1.

    Raises
    ------
    IncompatibleArtifact
        When the row was written in a form that this build does not read, or is damaged.
    """
    try:
        form, due_ms, applied, written_in = _HEADER.unpack_from(row)
    except struct.error as problem:
        raise IncompatibleArtifact(f"a row of the customers table has {len(row)} bytes, and is none") from problem
    if form != ROW_FORMAT:
        raise IncompatibleArtifact(f"a row of the customers table has form {form}, this build reads {ROW_FORMAT}")
    try:
        state = _decoder.decode(memoryview(row)[_HEADER.size :])
    except (msgspec.MsgspecError, ValueError, RecursionError) as problem:
        raise IncompatibleArtifact("a row of the customers table is damaged") from problem
    return Row(state, applied if written_in == incarnation else -1, due_ms)


def due_of(row: bytes) -> int:
    """Return when a row's next timer is due, epoch milliseconds, without decoding its body."""
    return int(_HEADER.unpack_from(row)[1])


class _Erasure(msgspec.Struct, array_like=True):
    """Of a ``CustomerState`` what stands before ``erased_ms``, unread, and it."""

    totals: msgspec.Raw
    ledger: msgspec.Raw
    latest_ms: msgspec.Raw
    base: msgspec.Raw
    pruned_ms: msgspec.Raw
    pending: msgspec.Raw
    last_snapshot_ms: msgspec.Raw
    silence_step: msgspec.Raw
    erased_ms: int


_decode_erasure = msgspec.msgpack.Decoder(_Erasure).decode


def is_erased(row: bytes) -> bool:
    """Tell whether a row's customer was ever erased, without decoding the rest; a row that is none was not."""
    try:
        return _decode_erasure(memoryview(row)[_HEADER.size :]).erased_ms >= 0
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return False


def place_of(row: bytes) -> tuple[int, int]:
    """Return the source topic's incarnation and the last offset applied, without decoding the body."""
    _, _, applied, incarnation = _HEADER.unpack_from(row)
    return incarnation, applied


def pack_floats(values: Sequence[float]) -> bytes:
    """Write float32 values."""
    return struct.pack(f"<{len(values)}f", *values)


def unpack_floats(packed: bytes) -> tuple[float, ...]:
    """Read float32 values."""
    return struct.unpack(f"<{len(packed) // 4}f", packed)
