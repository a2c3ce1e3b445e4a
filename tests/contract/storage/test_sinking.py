"""What the sink writes: all or nothing, once, in topic order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select

from clv import topics
from clv.errors import StoreConflict
from clv.state import CustomerState, Row, encode_row
from storage import tables
from storage.batch import Position, SinkBatch
from storage.sinking import load_positions, write_batch
from tests.contract.storage.outputs import CHANGELOG, IDS, OutputTopics, announcement, batch, budget_signal

if TYPE_CHECKING:
    from sqlalchemy import Table

    from storage.engine import Database

SCORES_0 = (topics.SCORES, 0)


def _count(database: Database, table: Table) -> int:
    with database.reading() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def _rows(database: Database, table: Table) -> list[dict[str, Any]]:
    with database.reading() as connection:
        return [dict(row._mapping) for row in connection.execute(select(table).order_by(*table.primary_key))]


def _everything() -> OutputTopics:
    outputs = OutputTopics()
    outputs.score("e1", "c1")
    outputs.score("e2", "c2", revenue_minor=5)
    outputs.change("s1", "c1")
    outputs.add(topics.BUDGET_SIGNALS, b"High-CLV", budget_signal("b1"))
    outputs.example("x1", "c1")
    outputs.watermark("1997-05-01T00:00:00Z", received=3, applied=2)
    outputs.add(topics.MODELS, b"online", announcement("v1"))
    outputs.dead_letter(7)
    outputs.state(b"c1", b"row-1")
    outputs.state(b"\x00partition", b"row-p")
    return outputs


def test_every_topic_lands_in_its_table(database: Database) -> None:
    """One batch of everything fills every table that the sink owns, and the offsets stand behind its records."""
    write_batch(database, _everything().batch())
    counts = {
        table.name: _count(database, table)
        for table in (
            *(tables.customers, tables.scores, tables.segment_changes, tables.budget_signals, tables.models),
            *(tables.training_examples, tables.partitions, tables.dead_letters, tables.customer_states),
        )
    }
    assert counts == {
        "customers": 2,
        "scores": 2,
        "segment_changes": 1,
        "budget_signals": 1,
        "models": 1,
        "training_examples": 1,
        "partitions": 1,
        "dead_letters": 1,
        "customer_states": 2,
    }
    assert load_positions(database, [topics.SCORES, CHANGELOG]) == {
        SCORES_0: Position(IDS[topics.SCORES], 2),
        (CHANGELOG, 0): Position(IDS[CHANGELOG], 2),
    }


def test_the_newest_score_wins_and_history_keeps_all(database: Database) -> None:
    """A customer's row is the last score in topic order, inside a batch and across batches."""
    first = OutputTopics()
    first.score("e1", "c1", clv_minor=1)
    first.score("e2", "c1", clv_minor=2, as_of="1997-01-01T00:00:00Z")
    write_batch(database, first.batch())
    assert [row["clv_minor"] for row in _rows(database, tables.customers)] == [2]
    first.score("e3", "c1", clv_minor=3, segment=None)
    write_batch(database, batch(first.records[2:], {SCORES_0: Position(IDS[topics.SCORES], 2)}))
    assert [(row["clv_minor"], row["segment"]) for row in _rows(database, tables.customers)] == [(3, None)]
    assert [row["event_id"] for row in _rows(database, tables.scores)] == ["e1", "e2", "e3"]


def test_what_each_model_said_is_stored(database: Database) -> None:
    """A score's row and its customer's hold every model's answer as it was sent."""
    outputs = OutputTopics()
    outputs.score("e1", "c1", btyd_minor=1.5, glm_minor=2.25, online_minor=3.125, ensemble_minor=4.5)
    write_batch(database, outputs.batch())
    for table in (tables.customers, tables.scores):
        (row,) = _rows(database, table)
        said = [row[f"{name}_minor"] for name in ("btyd", "glm", "online", "ensemble")]
        assert said == [1.5, 2.25, 3.125, 4.5]


def test_a_stale_sink_writes_nothing(database: Database) -> None:
    """A sink whose offsets are not the database's is refused as a whole."""
    outputs = _everything()
    write_batch(database, outputs.batch())
    outputs.score("e9", "c9")
    with pytest.raises(StoreConflict, match="another sink has written"):
        write_batch(database, outputs.batch())
    assert _count(database, tables.customers) == 2


def test_redelivery_adds_nothing(database: Database) -> None:
    """Records that come again at later offsets (a worker repeated them) change neither rows nor their number."""
    outputs = _everything()
    write_batch(database, outputs.batch())
    # The activity counts what was stored when by the clock, repeats too.
    kept = [table for name, table in tables.metadata.tables.items() if name not in ("sink_offsets", "activity")]
    before = [_rows(database, table) for table in kept]
    stored = load_positions(database, [record.topic for record in outputs.records])
    write_batch(database, batch(outputs.records, stored))
    after = [_rows(database, table) for table in kept]
    assert before == after


def test_a_recreated_topic_is_read_from_its_beginning(database: Database) -> None:
    """Offsets of a topic's new life replace those of the old one by compare-and-set too."""
    old = {SCORES_0: Position("an older id", 70)}
    write_batch(database, SinkBatch(expected={SCORES_0: Position()}, reached=old))
    outputs = OutputTopics()
    outputs.score("e1", "c1")
    write_batch(database, outputs.batch(old))
    assert load_positions(database, [topics.SCORES]) == {SCORES_0: Position(IDS[topics.SCORES], 1)}


def test_a_tombstone_erases_the_customer_everywhere(database: Database) -> None:
    """An erased customer leaves no row, and nobody else's rows go."""
    outputs = _everything()
    outputs.change("s2", "c2")
    write_batch(database, outputs.batch())
    stored = load_positions(database, [record.topic for record in outputs.records])
    before = len(outputs.records)
    outputs.tombstone("c1")
    write_batch(database, batch(outputs.records[before:], stored))
    assert [row["customer_id"] for row in _rows(database, tables.customers)] == ["c2"]
    assert [row["event_id"] for row in _rows(database, tables.scores)] == ["e2"]
    assert [row["event_id"] for row in _rows(database, tables.segment_changes)] == ["s2"]
    assert [row["key"] for row in _rows(database, tables.customer_states)] == [b"\x00partition"]
    assert (_count(database, tables.training_examples), _count(database, tables.dead_letters)) == (0, 0)


def test_a_customer_may_come_back_after_erasure(database: Database) -> None:
    """In one batch: what was before the tombstone goes, even from other topics; the new life stays."""
    outputs = OutputTopics()
    outputs.score("e1", "c1", as_of="1997-01-01T00:00:00Z")
    outputs.change("s1", "c1", as_of="1997-01-01T00:00:00Z")
    outputs.example("x1", "c1", as_of="1997-01-01T00:00:00Z")
    outputs.tombstone("c1")
    outputs.score("e2", "c1", as_of="1997-06-01T00:00:00Z", order_count=1)
    outputs.change("s2", "c1", as_of="1997-06-01T00:00:00Z")
    write_batch(database, outputs.batch())
    assert [row["score_event_id"] for row in _rows(database, tables.customers)] == ["e2"]
    assert [row["event_id"] for row in _rows(database, tables.scores)] == ["e2"]
    assert [row["event_id"] for row in _rows(database, tables.segment_changes)] == ["s2"]
    assert _count(database, tables.training_examples) == 0


@pytest.mark.parametrize(
    "row", [None, encode_row(Row(CustomerState(erased_ms=5)), 1)], ids=["deleted", "tells of the erasure"]
)
def test_what_comes_after_the_tombstone_is_swept_with_the_state_row(database: Database, row: bytes | None) -> None:
    """What is from before the erasure and read after the tombstone goes when the state row that says so comes."""
    outputs = OutputTopics()
    outputs.score("e1", "c1")
    outputs.tombstone("c1")
    write_batch(database, outputs.batch())
    late = OutputTopics()
    late.change("s1", "c1")
    late.example("x1", "c1")
    late.dead_letter(3)
    late.state(b"c1", row)
    write_batch(database, late.batch())
    swept = (tables.segment_changes, tables.training_examples, tables.dead_letters)
    assert [_count(database, table) for table in swept] == [0, 0, 0]


def test_state_rows_follow_the_changelog(database: Database) -> None:
    """A later row replaces, a tombstone deletes, and rows of a partition stay beside the customers'."""
    outputs = OutputTopics()
    outputs.state(b"c1", b"1")
    outputs.state(b"c1", b"2")
    outputs.state(b"c2", b"1")
    outputs.state(b"c2", None)
    outputs.state(b"\x00p", b"w")
    write_batch(database, outputs.batch())
    assert [(row["key"], row["row"]) for row in _rows(database, tables.customer_states)] == [
        (b"\x00p", b"w"),
        (b"c1", b"2"),
    ]


def test_text_that_a_database_cannot_hold_is_stored_all_the_same(database: Database) -> None:
    """NUL characters and huge keys of dead letters stop neither database."""
    outputs = OutputTopics()
    outputs.score("e1", "c\x001")
    outputs.dead_letter(1, key=b"k" * 100_000)
    write_batch(database, outputs.batch())
    assert [row["customer_id"] for row in _rows(database, tables.customers)] == ["c\u24001"]
    outputs.tombstone("c\x001")
    stored = load_positions(database, [topics.SCORES])
    write_batch(database, batch(outputs.records[-1:], stored))
    assert _count(database, tables.customers) == 0
