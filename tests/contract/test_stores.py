"""Rows of a table's partition: one suite for memory and RocksDB."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from clv.state import CustomerState, Row, encode_row
from streams.rows import PARTITION_KEY
from streams.store import BrokenStore, MemoryRows, MemoryStore, RocksRows, RocksStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from _pytest.fixtures import FixtureRequest

CHANGELOG = "clv-customers-changelog"


class Place(NamedTuple):
    """A topic's partition."""

    topic: str
    partition: int


@pytest.fixture(params=["memory", "rocksdb"])
def rows(request: FixtureRequest, tmp_path: Path) -> Iterator[MemoryRows | RocksRows]:
    """An empty partition of either kind."""
    opened = MemoryRows() if request.param == "memory" else RocksRows(tmp_path / "deep" / "rows")
    yield opened
    opened.close()


def test_rows_come_back(rows: MemoryRows | RocksRows) -> None:
    """What was put is there, byte for byte; the newest value of a key counts."""
    rows.put({b"a": b"1", b"b": b"\x00\xff"}, 1)
    rows.put({b"a": b"", PARTITION_KEY: b"own"}, 3)
    assert [rows.get(key) for key in (b"a", b"b", PARTITION_KEY, b"c")] == [b"", b"\x00\xff", b"own", None]


def test_none_deletes(rows: MemoryRows | RocksRows) -> None:
    """A row put as None is gone, and one that never was may be deleted too."""
    rows.put({b"a": b"1", b"b": b"2"}, 1)
    rows.put({b"a": None, b"never": None}, 3)
    assert dict(rows.items()) == {b"b": b"2"}


def test_items_are_all_rows_and_nothing_else(rows: MemoryRows | RocksRows) -> None:
    """The partition's own row is among them; what the store keeps for itself is not."""
    expected = {b"%d" % n: b"v%d" % n for n in range(100)} | {PARTITION_KEY: b"own"}
    rows.put(expected, 100)
    assert dict(rows.items()) == expected


def test_a_row_may_be_large(rows: MemoryRows | RocksRows) -> None:
    """A customer with a full ledger is one row."""
    rows.put({b"a": b"x" * 200_000}, 1)
    assert rows.get(b"a") == b"x" * 200_000


def test_rows_without_a_place_keep_the_last_one(tmp_path: Path) -> None:
    """-1 says nothing about how far the changelog has been applied."""
    rows = RocksRows(tmp_path / "rows")
    assert rows.changelog_offset() is None
    rows.put({b"a": b"1"}, 0)
    rows.put({b"a": b"2"}, -1)
    assert (rows.changelog_offset(), rows.get(b"a")) == (0, b"2")
    rows.close()


def test_rocksdb_outlives_its_process_and_memory_says_that_it_does_not(tmp_path: Path) -> None:
    """Rows and their place in the changelog are there after a restart, or neither is claimed."""
    before = RocksRows(tmp_path / "rows")
    before.put({b"a": b"1"}, 41)
    before.close()
    after = RocksRows(tmp_path / "rows")
    assert (after.get(b"a"), after.changelog_offset()) == (b"1", 41)
    after.close()
    memory = MemoryRows()
    memory.put({b"a": b"1"}, 41)
    assert memory.changelog_offset() is None


def make(kind: type[MemoryStore], folder: Path, *, life: str = "t1") -> MemoryStore:
    """Make a table's store as Faust does, with what it uses of application and table."""
    app = SimpleNamespace(conf=SimpleNamespace(tabledir=folder / "tables"), topic_ids={CHANGELOG: life})
    table = SimpleNamespace(name="customers", changelog_topic_name=CHANGELOG)
    return kind("clv://", app, table, table_name="customers")


def recovered(offset: int, rows: dict[bytes, bytes | None]) -> list[Any]:
    """Changelog records as recovery hands them over."""
    return [
        SimpleNamespace(key=key, value=value, offset=offset + place) for place, (key, value) in enumerate(rows.items())
    ]


@pytest.mark.parametrize("kind", [MemoryStore, RocksStore])
def test_recovery_fills_each_partition(kind: type[MemoryStore], tmp_path: Path) -> None:
    """Changelog batches go to their partition's rows, tombstones included; partitions do not mix."""
    store = make(kind, tmp_path)
    store.apply(0, recovered(5, {b"a": b"1", b"b": b"1"}))
    store.apply(1, recovered(9, {b"a": b"9"}))
    store.apply(0, recovered(7, {b"a": b"2", b"b": None}))
    assert [dict(store.rows(n).items()) for n in (0, 1)] == [{b"a": b"2"}, {b"a": b"9"}]
    expected = (8, 9) if kind is RocksStore else (None, None)
    assert expected == tuple(store.persisted_offset(Place(CHANGELOG, n)) for n in (0, 1))
    store.reset_state()
    assert [dict(store.rows(n).items()) for n in (0, 1)] == [{}, {}]
    assert store.persisted_offset(Place(CHANGELOG, 0)) is None
    store.reset_state()


@pytest.mark.parametrize("kind", [MemoryStore, RocksStore])
def test_a_partition_given_away_is_closed(kind: type[MemoryStore], tmp_path: Path) -> None:
    """Another worker may open it; memory starts it empty again, RocksDB where it was."""
    import asyncio

    store, other = make(kind, tmp_path), make(kind, tmp_path)
    store.rows(0).put({b"a": b"1"}, 5)
    store.rows(1).put({b"b": b"1"}, 5)
    revoked = {Place(CHANGELOG, 0), Place("clv.orders.v1", 1), Place(CHANGELOG, 7)}
    asyncio.run(store.on_rebalance(set(), revoked, set()))
    assert dict(other.rows(0).items()) == ({b"a": b"1"} if kind is RocksStore else {})
    assert store.data == {b"b": b"1"}
    for one in (store, other):
        for partition in list(one._partitions):
            one.rows(partition).close()


def test_a_changelog_made_anew_starts_a_new_database(tmp_path: Path) -> None:
    """Rows and places of an earlier changelog are not taken for this one's, and do not stay on disk."""
    before = make(RocksStore, tmp_path, life="t1")
    before.rows(0).put({b"a": b"1"}, 5)
    before.rows(0).close()
    after = make(RocksStore, tmp_path, life="t2")
    assert (dict(after.rows(0).items()), after.persisted_offset(Place(CHANGELOG, 0))) == ({}, None)
    assert len(list((tmp_path / "tables").iterdir())) == 1
    after.rows(0).close()


def _damage(folder: Path, pattern: str) -> None:
    """Overwrite the middle of the files of a store."""
    for path in folder.glob(pattern):
        with path.open("r+b") as file:
            file.seek(path.stat().st_size // 2)
            file.write(b"\xa5" * 50)


def _filled(path: Path) -> None:
    rows = RocksRows(path)
    rows.put({b"k%05d" % number: number.to_bytes(100, "big") for number in range(20_000)}, 20_000)
    rows._db.flush()
    rows.close()


def test_a_store_that_cannot_be_opened_any_more_begins_anew(tmp_path: Path) -> None:
    """A damaged manifest: the store is empty and knows it, so that the changelog is read from its beginning."""
    _filled(tmp_path / "rows")
    _damage(tmp_path / "rows", "MANIFEST*")
    rows = RocksRows(tmp_path / "rows")
    assert (rows.changelog_offset(), dict(rows.items())) == (None, {})
    rows.close()


def test_damaged_rows_are_noticed_and_given_up_at_the_next_start(tmp_path: Path) -> None:
    """RocksDB's run over all rows ends at a damaged block without a word: ours does not, nor does it last."""
    _filled(tmp_path / "rows")
    _damage(tmp_path / "rows", "*.sst")
    rows = RocksRows(tmp_path / "rows")
    with pytest.raises(BrokenStore, match="Corruption"):
        dict(rows.items())
    rows.close()
    after = RocksRows(tmp_path / "rows")
    assert (after.changelog_offset(), dict(after.items())) == (None, {})
    after.close()


@pytest.mark.parametrize("kind", [MemoryStore, RocksStore])
def test_recovery_lets_no_older_row_replace_a_newer_one(kind: type[MemoryStore], tmp_path: Path) -> None:
    """A worker that was frozen wrote late: its row lies behind the new owner's, in the same read or in a later one."""
    newer, older = (encode_row(Row(CustomerState(), applied), 1) for applied in (9, 5))
    store = make(kind, tmp_path)
    store.apply(0, recovered(0, {b"a": newer}))
    store.apply(0, recovered(1, {b"a": older}))
    assert (store.rows(0).get(b"a"), store.next_changelog_offset(0)) == (newer, 2)
    store.reset_state()
