"""Sums that the sink keeps equal what a scan of the rows gives, whatever happened to the rows."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select

from clv.outcomes import rfc3339
from clv.rules import DAY_MS
from clv.topics import SEGMENT_CHANGES
from storage import tables
from storage.aggregates import MEASURES, level_of, month_of
from storage.schema import downgrade, upgrade
from storage.sinking import write_batch
from tests.contract.storage.outputs import OutputTopics, batch

if TYPE_CHECKING:
    from storage.batch import Place, Position
    from storage.engine import Database

Sums = dict[tuple[str, str, str], tuple[int, ...]]
STANDING = ("segment", "source", "campaign", "cohort", "level", "confidence")
SEGMENTS = ("High-CLV", "Growth-Potential", "Low-CLV", None)


def _figures(row: dict[str, Any]) -> tuple[int, ...]:
    half_width = (row["clv_upper_minor"] - row["clv_lower_minor"]) // 200
    names = ("order_count", "revenue_minor", "refunded_minor", "clv_minor", "clv_lower_minor", "clv_upper_minor")
    return (1, *(row[name] for name in names), half_width**2)


def _scanned(database: Database) -> Sums:
    """Compute every standing sum from the customers' rows."""
    sums: dict[tuple[str, str, str], Counter[int]] = {}
    with database.reading() as connection:
        for row in connection.execute(select(tables.customers)).mappings():
            segment = row["segment"] or ""
            names = (
                ("segment", segment, segment),
                ("source", row["acquisition_source"], segment),
                ("campaign", row["campaign_type"], segment),
                ("cohort", month_of(row["first_order_ms"]), ""),
                ("level", f"{level_of(row['clv_minor']):04d}", ""),
                ("confidence", row["confidence"], ""),
            )
            for place in names:
                sums.setdefault(place, Counter()).update(dict(enumerate(_figures(dict(row)))))
    return {place: tuple(found[n] for n in range(len(MEASURES))) for place, found in sums.items()}


def _kept(database: Database) -> Sums:
    """Read every sum that is not empty, over all partitions."""
    sums: dict[tuple[str, str, str], Counter[int]] = {}
    with database.reading() as connection:
        for row in connection.execute(select(tables.totals)).mappings():
            place = (row["dimension"], row["name"], row["segment"])
            sums.setdefault(place, Counter()).update({n: int(row[name]) for n, name in enumerate(MEASURES)})
    found = {place: tuple(found[n] for n in range(len(MEASURES))) for place, found in sums.items()}
    return {place: figures for place, figures in found.items() if any(figures)}


def _history(random: Random, length: int) -> OutputTopics:
    """Write scores, segment changes, repeated records and tombstones of a few customers."""
    outputs = OutputTopics()
    for number in range(length):
        customer_id = f"c{random.randrange(9)}"
        if random.random() < 0.1:
            outputs.tombstone(customer_id)
            continue
        clv, width = random.choice([0, 1, random.randrange(10**6)]), random.randrange(10**5)
        as_of_ms = 852_076_800_000 + number * 3 * DAY_MS
        segment = random.choice(SEGMENTS)
        outputs.score(
            f"e{number}",
            customer_id,
            clv_minor=clv,
            clv_lower_minor=max(clv - width, 0),
            clv_upper_minor=clv + width,
            segment=segment,
            as_of=rfc3339(as_of_ms),
            first_order_at=rfc3339(random.choice([852_076_800_000, 854_755_200_000])),
            order_count=number,
            revenue_minor=random.randrange(10**6),
            refunded_minor=random.randrange(100),
            acquisition_source=random.choice(["", "google", "meta"]),
            campaign_type=random.choice(["", "brand"]),
            confidence=random.choice(["High", "Low"]),
        )
        if segment:
            outputs.change(f"s{random.randrange(length)}", customer_id, as_of=rfc3339(as_of_ms), to_segment=segment)
    return outputs


def test_sums_equal_a_scan_at_every_commit(database: Database) -> None:
    """After each of many batches, with erasures among them, every standing sum is what the rows add up to."""
    random = Random(7)
    outputs = _history(random, 150)
    records, start = outputs.records, 0
    expected: dict[Place, Position] = {}
    while start < len(records):
        end = start + random.randrange(1, 30)
        made = batch(records[start:end], expected)
        write_batch(database, made)
        expected |= made.reached
        start = end
        kept = _kept(database)
        assert {place: sums for place, sums in kept.items() if place[0] in STANDING} == _scanned(database)


def test_days_and_curves_add_up_to_what_stands(database: Database) -> None:
    """All days' changes together, and all cohorts' ages together, are the sums over all customers."""
    write_batch(database, _history(Random(3), 80).batch())
    kept = _kept(database)

    def over(dimension: str) -> tuple[int, ...]:
        return tuple(map(sum, zip(*(sums for place, sums in kept.items() if place[0] == dimension), strict=True)))

    assert over("segment") == over("day") == over("curve")
    assert len([place for place in kept if place[0] == "day"]) > 20


def test_sums_do_not_depend_on_the_batches(database: Database) -> None:
    """The same records one by one and all at once, erasures and moved first orders among them, end in the same rows."""
    outputs = _history(Random(13), 150)
    expected: dict[Place, Position] = {}
    for record in outputs.records:
        made = batch([record], expected)
        write_batch(database, made)
        expected |= made.reached
    singly = _totals(database)
    with database.writing() as connection:
        for table in tables.metadata.tables.values():
            connection.execute(delete(table))
    write_batch(database, outputs.batch())
    assert singly == _totals(database)


def _totals(database: Database) -> list[dict[str, Any]]:
    with database.reading() as connection:
        rows = connection.execute(select(tables.totals).order_by(*tables.totals.primary_key)).mappings()
        return [dict(row) for row in rows]


def test_segment_changes_are_counted_once_and_numbered_without_holes(database: Database) -> None:
    """A change that comes again is neither numbered nor counted again; moves by day add up to the stored changes."""
    outputs = _history(Random(5), 120)
    half = len(outputs.records) // 2
    first = batch(outputs.records[:half])
    write_batch(database, first)
    write_batch(database, batch(outputs.records[half:], first.reached))
    with database.reading() as connection:
        changes = tables.segment_changes
        numbers = [row.feed_seq for row in connection.execute(select(changes).order_by(changes.c.feed_seq))]
        ids = {row.event_id for row in connection.execute(select(changes.c.event_id))}
        moves = connection.execute(select(tables.segment_moves.c.changes)).scalars()
        counted = sum(int(found) for found in moves)
        next_seq = connection.execute(select(tables.feeds.c.next_seq)).scalar_one()
    sent = [record for record in outputs.records if record.topic == SEGMENT_CHANGES]
    assert len(sent) > counted >= len(ids)  # erased customers' changes are gone, their counts and numbers are not
    assert sorted(set(numbers)) == numbers
    assert counted == next_seq > numbers[-1]


def test_a_database_of_before_gets_its_sums(url: str, database: Database) -> None:
    """Going up from the tables before makes the sums and the feed from the rows that are there."""
    write_batch(database, _history(Random(11), 60).batch())
    downgrade(url, "0003")
    upgrade(url)
    kept = _kept(database)
    assert {place: sums for place, sums in kept.items() if place[0] in STANDING} == _scanned(database)
    with database.reading() as connection:
        numbers = sorted(connection.execute(select(tables.segment_changes.c.feed_seq)).scalars())
    assert numbers == list(range(len(numbers)))
