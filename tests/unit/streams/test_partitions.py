"""One partition's processing: the overlay, positions, adopted models, a topic made anew."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from clv.errors import IncompatibleArtifact
from clv.pipeline import Record
from clv.state import decode_row, incarnation_code
from clv.testing import order
from clv.topics import DEAD_LETTERS
from streams.partitions import REPEATABLE_BATCHES, PartitionProcessor, Results
from streams.rows import PARTITION_KEY
from streams.store import MemoryRows
from tests.unit.streams.worker_fake import DAY, RULES, judgement, orders, scores


def processor(rows: MemoryRows, *, topic_id: str = "t1", **options: Any) -> PartitionProcessor:
    """Make a processor of partition 2."""
    given = {"batch_records": 10} | options
    return PartitionProcessor(2, rows, topic_id=topic_id, rules=RULES, **given)


def records(count: int, *, first: int = 0, customers: int = 1) -> list[Record]:
    """Make orders as the pipeline takes them."""
    return [Record(*fetched[:3]) for fetched in orders(count, first=first, customers=customers)]


def settle(one: PartitionProcessor, results: Results) -> None:
    """Make a slice's rows durable."""
    one.settle(results, one.batch_number, 0)


def test_the_next_batch_sees_rows_still_in_flight() -> None:
    """Before a batch's rows are durable, later batches read them from the overlay; the store has nothing yet."""
    rows = MemoryRows()
    one = processor(rows)
    first = one.process(records(2), judgement())
    second = one.process(records(1, first=2), judgement())
    assert [s.order_count for s in scores(first.outputs)] == [1, 2]
    assert [s.order_count for s in scores(second.outputs)] == [3]
    assert list(rows.items()) == []


def test_settling_moves_rows_into_the_store() -> None:
    """A row settled is read from the store; a newer one in flight stays in front of it."""
    rows = MemoryRows()
    one = processor(rows)
    first = one.process(records(1), judgement())
    number = one.batch_number
    second = one.process(records(1, first=1), judgement())
    one.settle(first, number, 0)
    assert rows.get(b"c0") == first.rows[b"c0"]
    held = one.get("c0")
    assert held is not None
    assert held.state.totals.order_count == 2
    settle(one, second)
    assert rows.get(b"c0") == second.rows[b"c0"]
    assert rows.get(PARTITION_KEY) == second.rows[PARTITION_KEY]


def test_the_partitions_own_row_comes_last() -> None:
    """A slice's rows end with the partition's own, which vouches for the others."""
    results = processor(MemoryRows()).process(records(3, customers=3), judgement())
    assert list(results.rows) == [b"c0", b"c1", b"c2", PARTITION_KEY]


def test_records_applied_before_a_crash_change_nothing() -> None:
    """A processor that recovered everything skips what is delivered again."""
    rows = MemoryRows()
    one = processor(rows)
    settle(one, one.process(records(3), judgement()))
    again = processor(rows)
    results = again.process(records(3), judgement())
    assert results.outputs == []
    assert again.state == one.state


def test_rows_ahead_of_the_partitions_own_are_not_applied_twice() -> None:
    """Customers' rows durable without the partition's: repeated records leave the rows as they are."""
    whole, torn = MemoryRows(), MemoryRows()
    results = processor(whole).process(records(3), judgement())
    torn.put({b"c0": results.rows[b"c0"]}, 0)
    again = processor(torn)
    settle(again, again.process(records(3), judgement()))
    row = torn.get(b"c0")
    assert row is not None
    assert decode_row(row, incarnation_code("t1")).state.totals.order_count == 3
    assert torn.get(PARTITION_KEY) == results.rows[PARTITION_KEY]


def test_timers_come_back_from_the_rows() -> None:
    """A recovered processor fires what was due, with the ids that it would have had."""
    rows = MemoryRows()
    one = processor(rows)
    settle(one, one.process(records(1), judgement()))
    later = [Record(1, *order("other", "x", 1_035 * DAY, "1.00"))]
    found = scores(processor(rows).process(later, judgement()).outputs)
    assert [(s.customer_id, s.reason) for s in found] == [("c0", "silence"), ("other", "order")]
    assert found == scores(one.process(later, judgement()).outputs)


def test_models_are_adopted_from_a_record_on() -> None:
    """Records before the adoption keep what was in force; a slice has one set of models."""
    one = processor(MemoryRows())
    assert one.in_force(5) == 0
    assert one.adopts(0, 3)
    assert not one.adopts(0, 0)
    one.adopt(5, 3)
    assert [one.in_force(offset) for offset in (0, 4, 5, 90)] == [0, 0, 3, 3]
    slices = one.slices(records(12), 4)
    assert [[r.offset for r in part] for part in slices] == [[0, 1, 2, 3], [4], [5, 6, 7, 8], [9, 10, 11]]


def test_an_adoption_is_a_row() -> None:
    """What is in force survives a crash; a second adoption from the same record replaces the first."""
    rows = MemoryRows()
    one = processor(rows)
    one.adopt(5, 3)
    rows.put(one.adopt(5, 4), 0)
    again = processor(rows)
    assert [(a.from_offset, a.sequence) for a in again.state.adoptions] == [(5, 4)]
    assert again.in_force(7) == 4


def test_adoptions_are_bounded() -> None:
    """Only the newest few are kept."""
    one = processor(MemoryRows())
    for offset in range(50):
        one.adopt(offset, offset + 1)
    assert [one.in_force(offset) for offset in (40, 41, 42, 49)] == [0, 0, 43, 50]


@pytest.mark.parametrize(
    ("end_offset", "first_allowed"),
    [
        pytest.param(None, 2 + REPEATABLE_BATCHES * 10 + 1, id="end-unknown"),
        pytest.param(7, 7, id="ends-soon"),
        pytest.param(3, 3, id="nothing-left-over"),
        pytest.param(10**6, 2 + REPEATABLE_BATCHES * 10 + 1, id="long-backlog"),
    ],
)
def test_what_may_have_been_given_out_keeps_its_models(end_offset: int | None, first_allowed: int) -> None:
    """After a crash, newer models wait for the first record that no earlier owner can have scored."""
    rows = MemoryRows()
    one = processor(rows)
    one.adopt(0, 1)
    settle(one, one.process(records(3), judgement(1)))
    again = processor(rows, end_offset=end_offset)
    assert not again.adopts(first_allowed - 1, 2)
    assert again.adopts(first_allowed, 2)


def test_a_topic_made_anew_starts_over_and_forgets_nothing() -> None:
    """Positions of the old topic mean nothing; customers, time and counters stay."""
    rows = MemoryRows()
    one = processor(rows)
    one.adopt(0, 4)
    settle(one, one.process(records(3), judgement(4)))
    anew = processor(rows, topic_id="t2")
    assert (one.was_recreated, anew.was_recreated) == (False, True)
    assert (anew.state.applied_offset, anew.state.adoptions, anew.state.topic_id) == (-1, [], "t2")
    assert (anew.state.front_ms, anew.state.counts) == (one.state.front_ms, one.state.counts)
    results = anew.process([Record(0, *order("c0", "new", 1_001 * DAY, "5.00"))], judgement())
    assert [s.order_count for s in scores(results.outputs)] == [4]
    assert not processor(rows, topic_id="t1").was_recreated


def test_what_waited_in_the_old_topic_waits_in_the_new_one() -> None:
    """Held-back records keep apart from those of the new topic, whose offsets start over."""
    strict = msgspec.structs.replace(RULES, far_ahead_ms=7 * DAY * 1_000)
    rows = MemoryRows()
    one = PartitionProcessor(2, rows, topic_id="t1", rules=strict, batch_records=10)
    strict_judgement = judgement()._replace(rules=strict)
    far = [Record(n, *order(f"c{n}", f"o{n}", (1_000 + 20 * n) * DAY, "1.00")) for n in range(3)]
    settle(one, one.process(far, strict_judgement))
    anew = PartitionProcessor(2, rows, topic_id="t2", rules=strict, batch_records=10)
    assert [w.offset for w in one.state.waiting] == [1, 2]
    assert [w.offset for w in anew.state.waiting] == [-1, -2]


def test_rubbish_goes_to_the_dead_letters_with_its_place() -> None:
    """Reason, topic, partition and offset are in the headers; the bytes are as they came."""
    (letter,) = processor(MemoryRows()).process([Record(8, b"k", b"{")], judgement()).outputs
    headers = dict(letter.headers)
    assert (letter.topic, letter.key, letter.value) == (DEAD_LETTERS, b"k", b"{")
    assert (headers["clv-reason"], headers["clv-partition"], headers["clv-offset"]) == (b"undecodable", b"2", b"8")


@pytest.mark.parametrize(("key", "row"), [(b"garbage", b"\xff\xff\x00"), (b"\xff", b"")])
def test_a_foreign_row_on_the_changelog_is_named(key: bytes, row: bytes) -> None:
    """The worker cannot know what it meant; it says which key of which partition is to be deleted."""
    rows = MemoryRows()
    rows.put({key: row}, 0)
    with pytest.raises(IncompatibleArtifact, match="partition 2 of the customers changelog"):
        processor(rows)
