"""Figures over all customers: the run's summary, segments, percentiles of CLV."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from sqlalchemy import func, select

from storage import tables

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Table

    from storage.engine import Database

_customers = tables.customers


FOREVER_MS = 2**62
"""Later than any moment."""


@dataclass(frozen=True, slots=True)
class SegmentTotal:
    """A segment's customers and their summed CLV; ``segment`` is ``None`` for customers who are in none yet."""

    segment: str | None
    customers: int
    clv_minor: int
    revenue_minor: int


@dataclass(frozen=True, slots=True)
class Summary:
    """What the database holds, at one moment.

    Parameters
    ----------
    counts
        What the workers counted, summed over the partitions: received, applied, duplicate, late, dead, ticks.
    watermark_ms
        The slowest partition's; −1 before the first.
    dead_letters
        Stored dead letters by reason.
    """

    customers: int
    revenue_minor: int
    refunded_minor: int
    clv_minor: int
    segments: list[SegmentTotal]
    scores: int
    segment_changes: int
    examples: int
    models: int
    dead_letters: dict[str, int]
    counts: dict[str, int]
    watermark_ms: int


def summarise(database: Database) -> Summary:
    """Return the figures of a run so far, exact, from one snapshot on SQLite.

    Raises
    ------
    StoreUnavailable
        When a retry may help.
    """
    with database.reading() as connection:
        segments = _segment_totals(connection)
        held = tables.partitions
        rows = connection.execute(select(held.c.watermark_ms, held.c.counts)).all()
        letters = tables.dead_letters
        reasons = connection.execute(select(letters.c.reason, func.count()).group_by(letters.c.reason)).all()
        refunded = connection.execute(select(func.coalesce(func.sum(_customers.c.refunded_minor), 0))).scalar_one()
        counts: Counter[str] = Counter()
        for row in rows:
            counts.update(msgspec.json.decode(row.counts, type=dict[str, int]))
        return Summary(
            customers=sum(total.customers for total in segments),
            revenue_minor=sum(total.revenue_minor for total in segments),
            refunded_minor=int(refunded),
            clv_minor=sum(total.clv_minor for total in segments),
            segments=segments,
            scores=_count(connection, tables.scores),
            segment_changes=_count(connection, tables.segment_changes),
            examples=_count(connection, tables.training_examples),
            models=_count(connection, tables.models),
            dead_letters={row[0]: row[1] for row in reasons},
            counts=dict(counts),
            watermark_ms=min((row.watermark_ms for row in rows), default=-1),
        )


def segment_totals(database: Database) -> list[SegmentTotal]:
    """Return each segment that has customers, by name, those in none first."""
    with database.reading() as connection:
        return _segment_totals(connection)


def clv_quantiles(database: Database, percents: Sequence[float], *, until_ms: int = FOREVER_MS) -> list[int]:
    """Return percentiles of the customers' current CLV, in minor units and in the order of ``percents``.

    Parameters
    ----------
    percents
        Each in 0–100. The p-th percentile is the smallest CLV that is not below p % of the customers' (nearest rank).
    until_ms
        Customers whose score is of a later moment are left out.

    Returns
    -------
    list[int]
        Empty when there are no customers.
    """
    with database.reading() as connection:
        is_meant = _customers.c.as_of_ms <= until_ms
        count = _count_scored(connection, until_ms)
        if not count:
            return []
        ordered = select(_customers.c.clv_minor).where(is_meant).order_by(_customers.c.clv_minor).limit(1)
        ranks = [min(max(-int(-percent * count // 100), 1), count) for percent in percents]
        return [connection.execute(ordered.offset(rank - 1)).scalar_one() for rank in ranks]


def count_scored(database: Database, *, until_ms: int) -> int:
    """Count the customers whose current score is of a moment up to one."""
    with database.reading() as connection:
        return _count_scored(connection, until_ms)


class PartitionProgress(NamedTuple):
    """How far a worker has come on a partition, as it last reported."""

    watermark_ms: int
    applied_offset: int
    incarnation: str


def partition_progress(database: Database) -> dict[int, PartitionProgress]:
    """Return each partition's reported progress."""
    held = tables.partitions
    with database.reading() as connection:
        rows = connection.execute(select(held))
        return {row.partition: PartitionProgress(row.watermark_ms, row.applied_offset, row.incarnation) for row in rows}


def newest_score_ms(database: Database, *, until_ms: int = FOREVER_MS) -> int:
    """Return the latest moment up to one that a customer's current score is of, epoch milliseconds; 0 without any."""
    newest = select(func.coalesce(func.max(_customers.c.as_of_ms), 0)).where(_customers.c.as_of_ms <= until_ms)
    with database.reading() as connection:
        return int(connection.execute(newest).scalar_one())


def _segment_totals(connection: Connection) -> list[SegmentTotal]:
    query = select(
        _customers.c.segment,
        func.count(),
        func.sum(_customers.c.clv_minor),
        func.sum(_customers.c.revenue_minor),
    ).group_by(_customers.c.segment)
    # PostgreSQL sums BIGINT as NUMERIC.
    totals = [SegmentTotal(row[0], row[1], int(row[2]), int(row[3])) for row in connection.execute(query)]
    return sorted(totals, key=lambda total: total.segment or "")


def _count_scored(connection: Connection, until_ms: int) -> int:
    query = select(func.count()).where(_customers.c.as_of_ms <= until_ms)
    return connection.execute(query).scalar_one()


def _count(connection: Connection, table: Table) -> int:
    return connection.execute(select(func.count()).select_from(table)).scalar_one()
