"""Rows of the customers table as the changelog carries them: which of two of one key is further on."""

from __future__ import annotations

import struct

import msgspec

from clv.state import place_of
from clv.watermark import PartitionState

PARTITION_KEY = b"\x00partition"
"""Key of the row that holds a partition's own state; no customer id can contain it (it starts with NUL)."""
_decode_state = msgspec.msgpack.Decoder(PartitionState).decode


def is_older(key: bytes, row: bytes, other: bytes) -> bool:
    """Tell whether a row has applied less of the same life of the source topic than another row of its key.

    A row that is none is no older: whoever reads it says what is wrong with it.
    """
    try:
        (life, applied), (other_life, other_applied) = _place(key, row), _place(key, other)
    except (struct.error, ValueError, RecursionError, msgspec.MsgspecError):
        return False
    return life == other_life and applied < other_applied


def _place(key: bytes, row: bytes) -> tuple[str | int, int]:
    if key == PARTITION_KEY:
        state = _decode_state(row)
        return state.topic_id, state.applied_offset
    return place_of(row)
