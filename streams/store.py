"""Table stores for Faust, found by URL scheme: rows as bytes, kept apart by partition, applied in batches.

``clv-memory://`` keeps rows in dicts and is refilled from the changelog at every start. ``clv-rocksdb://`` keeps one
RocksDB a partition under the worker's data directory, with the changelog offset it has applied, and is refilled only
from there on.
"""

from __future__ import annotations

import shutil
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

import structlog
from faust.stores import base

from clv.errors import StoreError
from clv.state import incarnation_code
from streams.rows import is_older

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from faust.types import TP

log = structlog.get_logger(__name__)


class PartitionRows(Protocol):
    """One partition's rows."""

    def get(self, key: bytes) -> bytes | None:
        """Return a row."""
        ...

    def put(self, rows: Mapping[bytes, bytes | None], changelog_offset: int) -> None:
        """Write rows (None deletes) at once, and how far the changelog is applied with them; -1: as before."""
        ...

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield all rows, the partition's own included."""
        ...

    def changelog_offset(self) -> int | None:
        """Return the last changelog offset that is in here for good; None where nothing survives a restart."""
        ...


class MemoryRows:
    """Rows in a dict."""

    def __init__(self) -> None:
        self._rows: dict[bytes, bytes] = {}

    def get(self, key: bytes) -> bytes | None:
        """Return a row."""
        return self._rows.get(key)

    def put(self, rows: Mapping[bytes, bytes | None], changelog_offset: int) -> None:
        """Write rows."""
        del changelog_offset
        for key, value in rows.items():
            if value is None:
                self._rows.pop(key, None)
            else:
                self._rows[key] = value

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield all rows."""
        return iter(self._rows.items())

    def changelog_offset(self) -> int | None:
        """Nothing survives."""
        return None

    def close(self) -> None:
        """Let go of the rows."""
        self._rows.clear()


class BrokenStore(StoreError):
    """A local store's files are damaged; the next start does without them and reads the changelog anew."""

    reason = "broken_store"


class RocksRows:
    """Rows in a RocksDB; rows and changelog offset are written in one atomic batch.

    Files that turn out to be damaged are given up: at the opening they are deleted at once, later they are marked for
    the next opening and ``BrokenStore`` is raised. Nothing is lost: the changelog holds it all.
    """

    _OFFSET_KEY = b"\x00changelog-offset"
    _BROKEN_MARK = "BROKEN"

    def __init__(self, path: Path) -> None:
        import rocksdict  # noqa: PLC0415 - 20 ms and 10 MB that the memory store does without

        self._path = path
        self._new_batch = partial(rocksdict.WriteBatch, raw_mode=True)
        if (path / self._BROKEN_MARK).exists():
            self._give_up("damaged when it was last read")
        path.parent.mkdir(parents=True, exist_ok=True)
        options = rocksdict.Options(raw_mode=True)
        options.create_if_missing(True)
        try:
            self._db = rocksdict.Rdict(str(path), options)
        except Exception as problem:
            if not _is_damage(problem):
                raise
            self._give_up(str(problem))
            self._db = rocksdict.Rdict(str(path), options)

    def get(self, key: bytes) -> bytes | None:
        """Return a row."""
        try:
            row: bytes | None = self._db.get(key)
        except Exception as problem:  # noqa: BLE001 - rocksdict has no other kind
            self._distrust(problem)
        return row

    def put(self, rows: Mapping[bytes, bytes | None], changelog_offset: int) -> None:
        """Write rows and offset atomically."""
        batch = self._new_batch()
        for key, value in rows.items():
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
        if changelog_offset >= 0:
            batch.put(self._OFFSET_KEY, str(changelog_offset).encode())
        try:
            self._db.write(batch)
        except Exception as problem:  # noqa: BLE001 - rocksdict has no other kind
            self._distrust(problem)

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield all rows."""
        last = None
        for key, value in self._db.items():
            last = key
            if key != self._OFFSET_KEY:
                yield key, value
        self._check_end(last)

    def changelog_offset(self) -> int | None:
        """Return the last changelog offset applied."""
        offset = self.get(self._OFFSET_KEY)
        return None if offset is None else int(offset)

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def _check_end(self, last: bytes | None) -> None:
        """Make sure that a run over all rows ended with the last one: at a damaged block RocksDB's just ends."""
        ahead = self._db.iter()
        if last is None:
            ahead.seek_to_first()
        else:
            ahead.seek(last)
            if ahead.valid():
                ahead.next()
        try:
            ahead.status()
        except Exception as problem:  # noqa: BLE001 - rocksdict has no other kind
            self._distrust(problem)
        if ahead.valid():
            self._distrust(ValueError("rows end before the last one"))

    def _distrust(self, problem: Exception) -> NoReturn:
        if isinstance(problem, ValueError) or _is_damage(problem):
            (self._path / self._BROKEN_MARK).touch()
        raise BrokenStore(
            f"the local store {self._path} cannot be used: {problem}", "start again: it is filled from the changelog"
        ) from problem

    def _give_up(self, why: str) -> None:
        log.warning("local store given up, reading the changelog anew", path=str(self._path), why=why)
        shutil.rmtree(self._path)


def _is_damage(problem: Exception) -> bool:
    """Tell damaged or missing files from a full disk or a lock, which pass."""
    return str(problem).startswith("Corruption") or "No such file" in str(problem)


def _newest(records: Iterable[Any], rows: PartitionRows) -> dict[bytes, bytes | None]:
    """Return what changelog records change: a row that has applied less than what is there comes from a zombie."""
    found: dict[bytes, bytes | None] = {}
    for record in records:
        key, row = record.key, record.value
        held = found[key] if key in found else rows.get(key)
        if row is None or held is None or not is_older(key, row, held):
            found[key] = row
    return found


class MemoryStore(base.Store):
    """Partitions of a table, each with its rows; what Faust asks of a store, no more."""

    def __post_init__(self) -> None:
        self._partitions: dict[int, MemoryRows | RocksRows] = {}
        self._recovered_to: dict[int, int] = {}

    @property
    def data(self) -> dict[bytes, bytes]:
        """All rows of all partitions, for Faust's own views."""
        return {key: value for rows in self._partitions.values() for key, value in rows.items()}

    def rows(self, partition: int) -> MemoryRows | RocksRows:
        """Return a partition's rows, opened if need be."""
        rows = self._partitions.get(partition)
        if rows is None:
            rows = self._partitions[partition] = self._open(partition)
        return rows

    def _open(self, partition: int) -> MemoryRows | RocksRows:
        del partition
        return MemoryRows()

    def persisted_offset(self, tp: TP) -> int | None:
        """Return from where recovery has to read."""
        return self.rows(tp.partition).changelog_offset()

    def apply(self, partition: int, records: Sequence[Any]) -> None:
        """Apply consecutive changelog records; older rows never replace newer ones."""
        rows = self.rows(partition)
        rows.put(_newest(records, rows), records[-1].offset)
        self._recovered_to[partition] = records[-1].offset

    def apply_changelog_batch(self, batch: Iterable[Any], to_key: Any, to_value: Any) -> None:
        """Do nothing: ``streams.recovering`` has applied each batch when it came."""

    def next_changelog_offset(self, partition: int) -> int | None:
        """Return where the changelog goes on after what has been read of it or written to it; None where unknown."""
        known = (self._recovered_to.get(partition), self.rows(partition).changelog_offset())
        return max((offset + 1 for offset in known if offset is not None), default=None)

    async def on_rebalance(
        self, assigned: set[TP], revoked: set[TP], newly_assigned: set[TP], generation_id: int = 0
    ) -> None:
        """Close the partitions that are no longer ours, active or standby: their rows would go stale."""
        del assigned, newly_assigned, generation_id
        topic = self.table.changelog_topic_name
        for tp in revoked:
            if tp.topic == topic and tp.partition in self._partitions:
                self._partitions.pop(tp.partition).close()
                self._recovered_to.pop(tp.partition, None)

    async def backup_partition(self, tp: TP | int, flush: bool = True, purge: bool = False, keep: int = 1) -> None:  # noqa: FBT001, FBT002 - Faust's signature
        """Refuse: the changelog is the back-up."""
        raise NotImplementedError("the changelog topic is the table's back-up")

    def restore_backup(self, tp: TP | int, latest: bool = True, backup_id: int = 0) -> None:  # noqa: FBT001, FBT002 - Faust's signature
        """Refuse: the changelog is the back-up."""
        raise NotImplementedError("the changelog topic is the table's back-up")

    def reset_state(self) -> None:
        """Forget everything local."""
        for rows in self._partitions.values():
            rows.close()
        self._partitions.clear()
        self._recovered_to.clear()


class RocksStore(MemoryStore):
    """The same in RocksDB, under the application's table directory."""

    def _open(self, partition: int) -> RocksRows:
        """Open a partition's database for this life of the changelog; what belongs to an earlier one goes."""
        life = incarnation_code(self.app.topic_ids[self.table.changelog_topic_name])
        path = self.app.conf.tabledir / f"{self.table_name}-{partition}-{life:08x}.rocksdb"
        for other in self.app.conf.tabledir.glob(f"{self.table_name}-{partition}-*.rocksdb"):
            if other != path:
                shutil.rmtree(other, ignore_errors=True)
        return RocksRows(path)

    def reset_state(self) -> None:
        """Forget everything local, files included."""
        super().reset_state()
        shutil.rmtree(self.app.conf.tabledir, ignore_errors=True)
