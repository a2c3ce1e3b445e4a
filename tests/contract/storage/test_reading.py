"""What others read: figures, percentiles, exports, training examples, states."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from backtest.reservoir import Reservoir
from clv import topics
from clv.events import parse_time_ms
from models.schedule import SAMPLE_SEED
from storage.examples import count_examples, iter_examples, sample_examples
from storage.export import EXPORT_NAMES, count_rows, export_columns, iter_export
from storage.overview import SegmentTotal, clv_quantiles, segment_totals, summarise
from storage.sinking import write_batch
from storage.states import (
    count_states,
    delete_replay_position,
    get_replay_position,
    iter_states,
    put_replay_position,
)
from tests.contract.storage.outputs import OutputTopics, announcement, budget_signal, example

if TYPE_CHECKING:
    from storage.batch import SinkBatch
    from storage.engine import Database
    from storage.export import ExportName

FROM_MS = parse_time_ms("1997-01-01T00:00:00Z")
TO_MS = parse_time_ms("1998-01-01T00:00:00Z")


def test_an_empty_database_has_a_summary(database: Database) -> None:
    """Before the first record every figure is zero, and there are no percentiles."""
    found = summarise(database)
    assert (found.customers, found.revenue_minor, found.counts, found.watermark_ms) == (0, 0, {}, -1)
    assert clv_quantiles(database, [50]) == []


def test_the_summary_adds_up(database: Database) -> None:
    """Customers, money, segments, counts and dead letters are those of the rows."""
    outputs = OutputTopics()
    outputs.score("e1", "c1", revenue_minor=10**14, clv_minor=5, segment="High-CLV")
    outputs.score("e2", "c2", revenue_minor=1, refunded_minor=1, clv_minor=7, segment="High-CLV")
    outputs.score("e3", "c3", revenue_minor=0, clv_minor=0, segment=None)
    outputs.change("s1", "c1")
    outputs.example("x1", "c1")
    outputs.watermark("1997-05-01T00:00:00Z", received=9, late=1)
    outputs.watermark("1997-05-02T00:00:00Z", received=10, late=2)
    outputs.dead_letter(1)
    outputs.dead_letter(2, reason="too_late")
    write_batch(database, outputs.batch())
    found = summarise(database)
    totals = [SegmentTotal(None, 1, 0, 0), SegmentTotal("High-CLV", 2, 12, 10**14 + 1)]
    assert totals == found.segments == segment_totals(database)
    assert (found.customers, found.revenue_minor, found.refunded_minor, found.clv_minor) == (3, 10**14 + 1, 1, 12)
    assert (found.scores, found.segment_changes, found.examples, found.models) == (3, 1, 1, 0)
    assert found.dead_letters == {"bad_amount": 1, "too_late": 1}
    assert found.counts == {"received": 10, "late": 2}
    assert parse_time_ms("1997-05-02T00:00:00Z") == found.watermark_ms


def test_percentiles_are_of_nearest_rank(database: Database) -> None:
    """Of ten customers worth 1 to 10, the 80th percentile is 8: eight of ten are not above it."""
    outputs = OutputTopics()
    for value in (3, 1, 2, 10, 9, 8, 7, 6, 5, 4):
        outputs.score(f"e{value}", f"c{value}", clv_minor=value)
    write_batch(database, outputs.batch())
    assert clv_quantiles(database, [80, 50, 0, 100, 80.5]) == [8, 5, 1, 10, 9]


def test_examples_come_back_as_they_were(database: Database) -> None:
    """Every field of an example survives, features to the last bit."""
    outputs = OutputTopics()
    outputs.example("x1", "c1", features=[0.1 + 0.2, 1e300, 0.0])
    write_batch(database, outputs.batch())
    expected = example("x1", "c1", features=[0.1 + 0.2, 1e300, 0.0])
    assert [[expected]] == list(iter_examples(database, matured_from_ms=FROM_MS, matured_to_ms=TO_MS))


@pytest.mark.parametrize("chunk", [1, 2, 7, 100])
def test_examples_come_in_order_of_maturity(database: Database, chunk: int) -> None:
    """Whatever the size of a piece, the window's examples come once each, by maturity, then by id."""
    outputs = OutputTopics()
    for number in range(7):
        outputs.example(f"x{number}", "c1", matured_at=f"1997-04-0{1 + (number * 3) % 4}T00:00:00Z")
    outputs.example("too-late", "c1", matured_at="1998-01-01T00:00:00Z")
    write_batch(database, outputs.batch())
    found = list(iter_examples(database, matured_from_ms=FROM_MS, matured_to_ms=TO_MS, chunk=chunk))
    assert chunk >= max(len(piece) for piece in found)
    assert [one.event_id for piece in found for one in piece] == ["x0", "x4", "x3", "x2", "x6", "x1", "x5"]
    assert count_examples(database, matured_from_ms=FROM_MS, matured_to_ms=TO_MS) == 7


def test_a_sample_depends_on_ids_and_seed_alone(database: Database) -> None:
    """The same seed gives the same examples, another seed others, and later arrivals only displace."""
    outputs = OutputTopics()
    for number in range(50):
        outputs.example(f"x{number}", "c1")
    write_batch(database, outputs.batch())

    def draw(seed: int) -> list[str]:
        found = sample_examples(database, matured_from_ms=FROM_MS, matured_to_ms=TO_MS, limit=10, seed=seed)
        return [one.event_id for one in found]

    first, other = draw(1), draw(2)
    assert first == draw(1)
    assert first != other
    assert len(first) == 10
    later = OutputTopics()
    later.example("y1", "c1")
    write_batch(database, _next(later, outputs))
    assert len(set(first) & set(draw(1))) >= 9


def test_the_backtest_draws_the_same_sample(database: Database) -> None:
    """What a back-test keeps of examples as they mature is what SQL gives of them afterwards."""
    outputs, reservoir = OutputTopics(), Reservoir(limit=10)
    for number in range(50):
        at = f"1997-04-0{1 + number % 4}T00:00:00Z"
        outputs.example(f"x{number}", "c1", matured_at=at)
        reservoir.add(example(f"x{number}", "c1", matured_at=at))
    write_batch(database, outputs.batch())
    window = {"matured_from_ms": FROM_MS, "matured_to_ms": TO_MS}
    assert sample_examples(database, **window, limit=10, seed=SAMPLE_SEED) == reservoir.examples()


def _next(later: OutputTopics, earlier: OutputTopics) -> SinkBatch:
    end = earlier.batch().reached
    return later.batch(end)


@pytest.mark.parametrize("name", EXPORT_NAMES)
def test_every_table_can_be_exported(database: Database, name: ExportName) -> None:
    """Each export gives one row for its one record, under the names it promises."""
    outputs = OutputTopics()
    outputs.score("e1", "c1")
    outputs.change("s1", "c1")
    outputs.add(topics.BUDGET_SIGNALS, b"High-CLV", budget_signal("b1"))
    outputs.example("x1", "c1", features=[float(number) for number in range(21)])
    outputs.add(topics.MODELS, b"online", announcement("v1"))
    outputs.dead_letter(1)
    write_batch(database, outputs.batch())
    rows = list(iter_export(database, name, digits=2))
    assert [list(export_columns(name))] == [list(row) for row in rows]
    assert count_rows(database, name) == 1


def test_an_exported_customer_reads_well(database: Database) -> None:
    """Money is in major units, moments are RFC 3339, leading zeros of an id stay, the unknown is empty."""
    outputs = OutputTopics()
    outputs.score("e1", "007", revenue_minor=123_456)
    write_batch(database, outputs.batch())
    row = next(iter_export(database, "customers", digits=2))
    expected = {
        "customer_id": "007",
        "order_count": 1,
        "revenue": "1234.56",
        "refunded": "0.00",
        "first_order_at": "1997-01-01T00:00:00Z",
        "last_order_at": "1997-01-02T00:00:00Z",
        "clv": "100.00",
        "clv_lower": "50.00",
        "clv_upper": "200.00",
        "segment": "Growth-Potential",
    }
    assert expected == {name: row[name] for name in expected}
    assert row["expected_next_order_at"] == ""


@pytest.mark.parametrize("chunk", [1, 2, 100])
def test_states_come_back_by_partition_and_key(database: Database, chunk: int) -> None:
    """Every state row comes once, whatever the size of a piece."""
    outputs = OutputTopics()
    for key in (b"c2", b"c1", b"\x00p", b"\xff"):
        outputs.state(key, b"row " + key)
    moved = [record._replace(partition=number % 2) for number, record in enumerate(outputs.records)]
    outputs.records[:] = moved
    write_batch(database, outputs.batch())
    expected = [(0, b"\x00p", b"row \x00p"), (0, b"c2", b"row c2"), (1, b"c1", b"row c1"), (1, b"\xff", b"row \xff")]
    assert expected == [row for piece in iter_states(database, chunk=chunk) for row in piece]
    assert count_states(database) == 4


def test_a_replay_position_is_kept_replaced_and_forgotten(database: Database) -> None:
    """``replay`` finds what it put last, and nothing after it is done."""
    assert get_replay_position(database, "cdnow") is None
    put_replay_position(database, "cdnow", {"line": 1})
    put_replay_position(database, "cdnow", {"line": 2, "digest": "d"})
    assert get_replay_position(database, "cdnow") == {"line": 2, "digest": "d"}
    delete_replay_position(database, "cdnow")
    assert get_replay_position(database, "cdnow") is None


def test_nothing_of_an_export_is_json_hostile(database: Database) -> None:
    """A dead letter's raw bytes come as text."""
    outputs = OutputTopics()
    outputs.dead_letter(1, key=None)
    write_batch(database, outputs.batch())
    row = next(iter_export(database, "dead-letters", digits=2))
    assert (row["value"], row["key"]) == ("/wAgcmF3", None)
    assert msgspec.json.encode(row)
