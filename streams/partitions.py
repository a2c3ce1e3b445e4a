"""One partition's processing: its rows behind an overlay of what is in flight, its timers, its adopted models."""

from __future__ import annotations

import hashlib
import struct
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple, Protocol

import msgspec
import structlog

from clv.errors import IncompatibleArtifact
from clv.pipeline import Batch, Partition, Record, process
from clv.state import Row, decode_row, due_of, encode_row, incarnation_code
from clv.timers import TimerIndex
from clv.topics import ORDERS
from clv.watermark import Adoption, PartitionState
from streams.codecs import Produced, to_record
from streams.delivery import MAX_IN_FLIGHT
from streams.rows import PARTITION_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from clv.rules import Rules
    from clv.verdicts import Judgement
    from streams.store import PartitionRows

KEPT_ADOPTIONS = 8
REPEATABLE_BATCHES = 2 * (2 * MAX_IN_FLIGHT + 2)
"""Batches beyond the last durable position that an earlier owner may have given out already: they keep its models.

Twice what can be in flight (queued, being delivered, and one at either end), for holes between offsets.
"""

log = structlog.get_logger(__name__)
_encode_state = msgspec.msgpack.Encoder().encode
_decode_state = msgspec.msgpack.Decoder(PartitionState).decode


class Models(Protocol):
    """Published models and policies by sequence number; the worker asks between batches, from its event loop."""

    def latest_sequence(self) -> int:
        """Return the newest sequence that is loaded; 0 before the first."""
        ...

    async def judgement(self, sequence: int) -> Judgement:
        """Return models and policies as they were when ``sequence`` was the newest; loads them if need be."""
        ...


class Results(NamedTuple):
    """What a slice of records gave: records to produce, rows to write."""

    outputs: list[Produced]
    rows: dict[bytes, bytes | None]


class PartitionProcessor:
    """Runs the pipeline over one partition's batches.

    Parameters
    ----------
    number
        The partition.
    rows
        Its recovered rows.
    topic_id
        Identity of the source topic now; positions in rows of another identity mean nothing.
    rules
        The deployment's rules.
    batch_records
        Most records handled as one batch.
    end_offset
        Where the partition ended when it came to this worker; nobody can have given out anything from there on.
    """

    def __init__(
        self,
        number: int,
        rows: PartitionRows,
        *,
        topic_id: str,
        rules: Rules,
        batch_records: int,
        end_offset: int | None = None,
    ) -> None:
        self.number = number
        self._rows = rows
        self._rules = rules
        self._incarnation = incarnation_code(topic_id)
        self._overlay: dict[bytes, tuple[bytes | None, int]] = {}
        self._batch_number = 0
        self.state, self.was_recreated = _load_state(rows, topic_id)
        self._repeatable_to = self._last_repeatable(batch_records, end_offset)
        self._timers = TimerIndex(self._due_times())

    def _due_times(self) -> Iterator[tuple[int, bytes]]:
        for key, row in self._rows.items():
            if key == PARTITION_KEY:
                continue
            try:
                yield due_of(row), _checked(key)
            except (struct.error, UnicodeDecodeError) as problem:
                raise IncompatibleArtifact(
                    f"partition {self.number} of the customers changelog holds a row that is none, under the key whose "
                    f"blake2b of 16 bytes is {hashlib.blake2b(key, digest_size=16).hexdigest()}",
                    "delete that key from the changelog with a tombstone, and find out who else writes there",
                ) from problem

    def _last_repeatable(self, batch_records: int, end_offset: int | None) -> int:
        if not self.state.adoptions:
            return -1
        bound = self.state.applied_offset + REPEATABLE_BATCHES * batch_records
        return bound if end_offset is None else min(bound, end_offset - 1)

    def get(self, customer_id: str) -> Row | None:
        """Return a fresh copy of a customer's row (``clv.pipeline.Rows``)."""
        row = self._bytes(customer_id.encode())
        return None if row is None else decode_row(row, self._incarnation)

    def due_of(self, customer_id: str) -> int | None:
        """Return when a customer is due (``clv.pipeline.Rows``)."""
        row = self._bytes(customer_id.encode())
        return None if row is None else due_of(row)

    def adopts(self, first_offset: int, latest_sequence: int) -> bool:
        """Tell whether newer models are to be put in force from this record on.

        Records that an earlier owner may have scored already keep the models which that owner had adopted, so that a
        repeated output is the same output.
        """
        adopted = self.state.adoptions[-1].sequence if self.state.adoptions else 0
        return latest_sequence > adopted and first_offset > self._repeatable_to

    def adopt(self, first_offset: int, sequence: int) -> dict[bytes, bytes | None]:
        """Put models in force from a record on; return the row that must be durable before any output uses them."""
        kept = [a for a in self.state.adoptions if a.from_offset < first_offset]
        self.state.adoptions = [*kept, Adoption(first_offset, sequence)][-KEPT_ADOPTIONS:]
        return {PARTITION_KEY: _encode_state(self.state)}

    def in_force(self, offset: int) -> int:
        """Return the sequence that is in force for a record; 0 before any was adopted."""
        return next((a.sequence for a in reversed(self.state.adoptions) if a.from_offset <= offset), 0)

    def slices(self, records: Sequence[Record], limit: int) -> list[list[Record]]:
        """Cut records so that each slice has at most ``limit`` and one set of models in force."""
        result: list[list[Record]] = []
        for sequence, run in groupby(records, key=lambda record: self.in_force(record.offset)):
            del sequence
            alike = list(run)
            result += [alike[start : start + limit] for start in range(0, len(alike), limit)]
        return result

    def process(self, records: Sequence[Record], judgement: Judgement) -> Results:
        """Apply a slice; its rows go into the overlay until they are ``settle``-d."""
        batch = process(records, Partition(ORDERS, self.number, self.state, self, self._timers), judgement)
        rows = self._encode(batch)
        self._batch_number += 1
        for key, row in rows.items():
            if key != PARTITION_KEY:
                self._overlay[key] = (row, self._batch_number)
        return Results([to_record(outcome) for outcome in batch.outcomes], rows)

    @property
    def batch_number(self) -> int:
        """Number of the last slice processed, for ``settle``."""
        return self._batch_number

    def settle(self, results: Results, batch_number: int, changelog_offset: int) -> None:
        """Move a slice's rows, now durable in the changelog, from the overlay into the store."""
        self._rows.put(results.rows, changelog_offset)
        for key in results.rows:
            held = self._overlay.get(key)
            if held and held[1] <= batch_number:
                del self._overlay[key]

    def _bytes(self, key: bytes) -> bytes | None:
        held = self._overlay.get(key)
        return held[0] if held else self._rows.get(key)

    def _encode(self, batch: Batch) -> dict[bytes, bytes | None]:
        rows = {
            customer_id.encode(): encode_row(row, self._incarnation) if row else None
            for customer_id, row in batch.changed.items()
        }
        rows[PARTITION_KEY] = _encode_state(self.state)
        return rows


def _checked(key: bytes) -> bytes:
    """Return a row's key, which must be text; the very object, so that a name is in memory once."""
    if not key.isascii():
        key.decode()
    return key


def _load_state(rows: PartitionRows, topic_id: str) -> tuple[PartitionState, bool]:
    """Return the partition's own state, and whether the source topic is another one than it was written for."""
    stored = rows.get(PARTITION_KEY)
    try:
        state = _decode_state(stored) if stored else PartitionState(topic_id=topic_id)
    except (msgspec.MsgspecError, ValueError, RecursionError) as problem:
        raise IncompatibleArtifact(
            "the changelog's row of the partition itself is damaged",
            "docs/backup.md says how to go on; find out who else writes to the changelog",
        ) from problem
    was_recreated = state.topic_id != topic_id
    if was_recreated:
        state.topic_id = topic_id
        state.applied_offset = -1
        state.adoptions = []
        for place, waiting in enumerate(state.waiting):
            waiting.offset = -1 - place
    return state, was_recreated
