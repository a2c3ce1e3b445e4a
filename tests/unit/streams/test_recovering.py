"""Changelog batches into the store: none is missed, whatever Faust loses, repeats or lets through late."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP

from streams.recovering import take_batch
from streams.store import MemoryStore
from streams.transport import PartitionBatch

CHANGELOG = TP("clv-customers-changelog", 0)


class Worker:
    """What recovery touches of a worker that reads a changelog partition again."""

    def __init__(self, *, is_ours: bool = True, begins_at: int = 0) -> None:
        self.sought: list[dict[TP, int]] = []
        self.problems: list[BaseException] = []
        self.read_to: dict[TP, int] = {CHANGELOG: begins_at - 1}
        self._begins_at = begins_at
        table = SimpleNamespace(name="customers", changelog_topic_name=CHANGELOG.topic)
        self.store = MemoryStore("clv-memory://", SimpleNamespace(), table, table_name="customers")
        recovery = SimpleNamespace(
            active_tps={CHANGELOG} if is_ours else set(),
            standby_tps=set(),
            active_offsets=self.read_to,
            standby_offsets={},
        )
        self._app = SimpleNamespace(tables=SimpleNamespace(recovery=recovery), consumer=self)

    def sought_to(self, tp: TP) -> int:
        """Say where reading began."""
        assert tp == CHANGELOG
        return self._begins_at

    async def seek_wait(self, partitions: dict[TP, int]) -> None:
        """Remember it."""
        self.sought.append(partitions)

    def take(self, *offsets: int, begins_at: int | None = None) -> None:
        """Take a batch of rows at these offsets, as Faust hands it over: with its last offset noted as read."""
        records = [SimpleNamespace(key=b"c%d" % offset, value=b"row", offset=offset) for offset in offsets]
        batch = PartitionBatch(offsets[0] if begins_at is None else begins_at, records)
        message = SimpleNamespace(tp=CHANGELOG, partition=CHANGELOG.partition, value=batch)
        self.read_to[CHANGELOG] = offsets[-1]
        asyncio.run(take_batch(self._app, self.store, SimpleNamespace(message=message), self.problems.append))

    @property
    def keys(self) -> list[bytes]:
        """Keys of the rows that were applied."""
        return [key for key, _ in self.store.rows(0).items()]


def test_batches_that_follow_one_another_are_applied() -> None:
    """Compaction leaves holes between records, not between batches."""
    worker = Worker()
    worker.take(2, 5, begins_at=0)
    worker.take(9, begins_at=6)
    assert worker.keys == [b"c2", b"c5", b"c9"]
    assert (worker.sought, worker.read_to) == ([], {CHANGELOG: 9})


def test_a_lost_batch_is_read_again() -> None:
    """What lies behind it is not applied, and recovery is told that it is not through."""
    worker = Worker()
    worker.take(0, 1)
    worker.take(5, 6, begins_at=5)
    assert worker.keys == [b"c0", b"c1"]
    assert (worker.sought, worker.read_to) == ([{CHANGELOG: 2}], {CHANGELOG: 1})
    worker.take(2, 3, 4, 5, 6)
    assert worker.keys == [b"c%d" % n for n in range(7)]


def test_a_lost_first_batch_is_read_again() -> None:
    """With nothing applied yet, reading goes back to where recovery began."""
    worker = Worker(begins_at=100)
    worker.take(120, begins_at=110)
    assert (worker.keys, worker.sought, worker.read_to) == ([], [{CHANGELOG: 100}], {CHANGELOG: 99})
    worker.take(104, 120, begins_at=100)
    assert worker.keys == [b"c104", b"c120"]


def test_a_batch_of_a_partition_given_away_is_dropped() -> None:
    """It would open the partition again, with rows that nobody keeps up."""
    worker = Worker(is_ours=False)
    worker.take(0, 1)
    assert (worker.store.data, worker.sought) == ({}, [])


def test_a_batch_that_cannot_be_applied_ends_the_process() -> None:
    """Faust would log it and go on behind it."""

    class FullDisk(MemoryStore):
        """Takes nothing more."""

        def apply(self, partition: int, records: Any) -> None:
            """Fail."""
            raise OSError(28, "no space left on device")

    worker = Worker()
    worker.store = FullDisk("clv-memory://", SimpleNamespace(), worker.store.table, table_name="customers")
    with pytest.raises(OSError, match="no space"):
        worker.take(0)
    assert [type(problem) for problem in worker.problems] == [OSError]


def test_rows_of_a_partition_given_away_count_for_nothing_when_it_comes_back() -> None:
    """Memory forgets the rows with the partition, and with them how far they went."""
    worker = Worker()
    worker.take(0, 1, 2)
    asyncio.run(worker.store.on_rebalance(set(), {CHANGELOG}, set()))
    worker.take(3, begins_at=3)
    assert (worker.keys, worker.sought) == ([], [{CHANGELOG: 0}])
