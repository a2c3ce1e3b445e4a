"""The sums that the sink keeps, read: over partitions, by dimension; and what was stored lately."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import func, select

from storage import tables
from storage.aggregates import ACTIVITY_BUCKET_MS, MEASURES

if TYPE_CHECKING:
    from storage.engine import Database

_totals, _moves, _activity = tables.totals, tables.segment_moves, tables.activity


class Total(NamedTuple):
    """Sums over the customers of a name and a segment; money in minor units.

    ``spread`` sums the squared half widths of the intervals, in hundreds of minor units.
    """

    name: str
    segment: str
    customers: int
    orders: int
    revenue_minor: int
    refunded_minor: int
    clv_minor: int
    clv_lower_minor: int
    clv_upper_minor: int
    spread: int


class Move(NamedTuple):
    """Segment changes of one kind; ``from_segment`` is empty for first segments, CLVs are summed."""

    from_segment: str
    to_segment: str
    reason: str
    changes: int
    clv_before_minor: int
    clv_after_minor: int


class Activity(NamedTuple):
    """What was stored in the ten seconds from ``at_ms`` of the clock."""

    at_ms: int
    orders: int
    scores: int
    segment_changes: int
    dead_letters: int


def totals_by(database: Database, dimension: str, *, limit: int | None = None) -> list[Total]:
    """Return a dimension's sums that are not empty, by name and segment; with a limit, of the most customers.

    Raises
    ------
    StoreUnavailable
        When a retry may help.
    """
    sums = [func.sum(_totals.c[name]).label(name) for name in MEASURES]
    query = (
        select(_totals.c.name, _totals.c.segment, *sums)
        .where(_totals.c.dimension == dimension)
        .group_by(_totals.c.name, _totals.c.segment)
        .order_by(_totals.c.name, _totals.c.segment)
    )
    if limit is not None:
        largest = (
            select(_totals.c.name)
            .where(_totals.c.dimension == dimension)
            .group_by(_totals.c.name)
            .order_by(func.sum(_totals.c.customers).desc(), _totals.c.name)
            .limit(limit)
        )
        query = query.where(_totals.c.name.in_(largest))
    with database.reading() as connection:
        rows = [Total(row[0], row[1], *map(int, row[2:])) for row in connection.execute(query)]
    return [row for row in rows if any(row[2:])]


def moves_between(database: Database, from_day: str, to_day: str) -> list[Move]:
    """Return the segment changes from one day of event time to another, both included, ``1997-01-31``."""
    sums = [func.sum(_moves.c[name]) for name in ("changes", "clv_before_minor", "clv_after_minor")]
    names = (_moves.c.from_segment, _moves.c.to_segment, _moves.c.reason)
    # Not BETWEEN: with a collation on its bounds PostgreSQL's grammar refuses it.
    is_meant = (_moves.c.day >= from_day, _moves.c.day <= to_day)
    query = select(*names, *sums).where(*is_meant).group_by(*names).order_by(*names)
    with database.reading() as connection:
        return [Move(*row[:3], *map(int, row[3:])) for row in connection.execute(query)]


def newest_day(database: Database) -> str:
    """Return the last day of event time that anything is known of; empty without any."""
    query = select(func.max(_totals.c.name)).where(_totals.c.dimension == "day")
    with database.reading() as connection:
        return connection.execute(query).scalar_one() or ""


def activity_since(database: Database, since_ms: int) -> list[Activity]:
    """Return what was stored since a moment of the clock, oldest first; stretches without anything are missing."""
    names = Activity._fields[1:]
    query = (
        select(_activity.c.at_ms, *(func.sum(_activity.c[name]) for name in names))
        .where(_activity.c.at_ms >= since_ms)
        .group_by(_activity.c.at_ms)
        .order_by(_activity.c.at_ms)
    )
    with database.reading() as connection:
        return [Activity(*map(int, row)) for row in connection.execute(query)]


def orders_per_minute(found: list[Activity], now_ms: int) -> float:
    """Return the rate of the last minute that is complete, from what ``activity_since`` gave."""
    end = now_ms // ACTIVITY_BUCKET_MS * ACTIVITY_BUCKET_MS
    return float(sum(each.orders for each in found if end - 60_000 <= each.at_ms < end))


def counts(database: Database) -> dict[str, Any]:
    """Return each partition's watermark and what its worker counted, as it last reported."""
    held = tables.partitions
    with database.reading() as connection:
        rows = connection.execute(select(held).order_by(held.c.partition)).mappings()
        return {str(row["partition"]): dict(row) for row in rows}
