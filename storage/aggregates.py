"""Figures over all customers that the sink keeps beside their rows, so that nobody has to scan them.

Every change of a customer's row takes what the row was out of each sum that it is in and puts in what it is now, in
the transaction that changes it: the sums equal the rows, exactly, at every commit. Sums lie by partition, because a
partition has one sink at a time: two sinks never wait for each other's sums.
"""

from __future__ import annotations

import math
from collections import defaultdict
from datetime import UTC, datetime
from functools import lru_cache
from operator import add, sub
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import delete, select

from clv.rules import DAY_MS
from storage import tables
from storage.dialect import add_up

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Connection

    from storage.batch import Row

MEASURES = (
    "customers",
    "orders",
    "revenue_minor",
    "refunded_minor",
    "clv_minor",
    "clv_lower_minor",
    "clv_upper_minor",
    "spread",
)
"""What is summed; ``spread`` is the interval's half width in hundreds of minor units, squared: variances add up."""

LEVELS_PER_DOUBLING = 8
_MOST_SPREAD = 10**12
_CHUNK = 1_000

_customers = tables.customers


class Place(NamedTuple):
    """A sum: of which dimension, under which name, of which segment, of which partition."""

    dimension: str
    name: str
    segment: str
    partition: int


class _Held(NamedTuple):
    """Of a customer's row, what the sums need."""

    partition: int
    segment: str | None
    acquisition_source: str
    campaign_type: str
    confidence: str
    first_order_ms: int
    as_of_ms: int
    order_count: int
    revenue_minor: int
    refunded_minor: int
    clv_minor: int
    clv_lower_minor: int
    clv_upper_minor: int


_Figures = tuple[int, ...]
_Sums = dict[Any, _Figures]


def level_of(clv_minor: int) -> int:
    """Return the level that a CLV is on: 0 for nothing, else one more for each eighth of a doubling.

    Examples
    --------
    >>> level_of(0), level_of(1), level_of(2), level_of(1024)
    (0, 1, 9, 81)
    """
    return 1 + int(math.log2(clv_minor) * LEVELS_PER_DOUBLING) if clv_minor > 0 else 0


def month_of(moment_ms: int) -> str:
    """Return the UTC month of a moment, ``1997-01``; empty where it is unknown."""
    return _day_of(moment_ms)[:7]


def keep_totals(
    connection: Connection, rows: Mapping[str, Row], erased: Iterable[str], scores: Iterable[Row] = ()
) -> None:
    """Take the customers' rows as they are out of the sums and put the new ones in; call it before they are written.

    Parameters
    ----------
    rows
        The new rows by customer_id.
    erased
        Customers whose rows go, before the new ones come.
    scores
        The scores on the way to the new rows, in their order: each counts what it changed on its own day. A customer
        without any is taken from the old row to the new one at once.

    Notes
    -----
    Some ten microseconds a customer, three a score. Rows are summed by all that they share first, and by each dimension
    of it afterwards: there are far fewer combinations than rows.
    """
    gone = set(erased)
    changed = [*rows, *(customer_id for customer_id in gone if customer_id not in rows)]
    steps: defaultdict[str, list[Row]] = defaultdict(list)
    for score in scores:
        steps[score["customer_id"]].append(score)
    change = _Change()
    for start in range(0, len(changed), _CHUNK):
        customer_ids = changed[start : start + _CHUNK]
        before = _rows(connection, customer_ids)
        for customer_id in customer_ids:
            old, new = before.get(customer_id), rows.get(customer_id)
            if old is not None and (new is None or customer_id in gone):
                change.leave(old)
                old = None
            if new is not None:
                change.come(old, _Held(*(new[name] for name in _Held._fields)), steps.get(customer_id, ()))
    _write(connection, change.sums())


class _Change:
    """What a batch changes in the sums: by what rows have in common, by level of CLV, and by moment."""

    def __init__(self) -> None:
        self._shared: _Sums = {}
        self._levels: _Sums = {}
        self._moves: _Sums = {}

    def leave(self, old: _Held) -> None:
        """Take a customer out who is to be gone."""
        figures = _minus(_NOTHING, _figures(*old[-6:]))
        self._stand(old, figures)
        _add(self._moves, (old.partition, _day_of(old.as_of_ms), old.first_order_ms // DAY_MS), figures)

    def come(self, old: _Held | None, new: _Held, steps: Sequence[Row]) -> None:
        """Put a customer in, or in another place than before."""
        was, now = _figures(*old[-6:]) if old else _NOTHING, _figures(*new[-6:])
        if old is not None and _shared(old) == _shared(new):
            _add(self._shared, _shared(new), _minus(now, was))
        else:
            if old is not None:
                _add(self._shared, _shared(old), _minus(_NOTHING, was))
            _add(self._shared, _shared(new), now)
        if old is not None:
            _add(self._levels, (old.partition, level_of(old.clv_minor)), _minus(_NOTHING, was))
        _add(self._levels, (new.partition, level_of(new.clv_minor)), now)
        for step in steps[:-1]:  # the last one is the new row
            reached = _figures(*(step[name] for name in _Held._fields[-6:]))
            self._move(new, step["as_of_ms"], was, reached)
            was = reached
        self._move(new, new.as_of_ms, was, now)

    def _stand(self, row: _Held, figures: _Figures) -> None:
        _add(self._shared, _shared(row), figures)
        _add(self._levels, (row.partition, level_of(row.clv_minor)), figures)

    def _move(self, row: _Held, as_of_ms: int, was: _Figures, now: _Figures) -> None:
        if was != now:
            _add(self._moves, (row.partition, _day_of(as_of_ms), row.first_order_ms // DAY_MS), _minus(now, was))

    def sums(self) -> dict[Place, _Figures]:
        """Return what is to be added, by place."""
        sums: dict[Place, _Figures] = {}
        for (partition, segment, source, campaign, confidence, cohort), figures in self._shared.items():
            for dimension, name, of in (
                ("segment", segment, segment),
                ("source", source, segment),
                ("campaign", campaign, segment),
                ("confidence", confidence, ""),
                ("cohort", cohort, ""),
            ):
                _add(sums, Place(dimension, name, of, partition), figures)
        for (partition, level), figures in self._levels.items():
            _add(sums, Place("level", f"{level:04d}", "", partition), figures)
        for (partition, day, first_day), figures in self._moves.items():
            first = _date(first_day) if first_day >= 0 else ""
            _add(sums, Place("day", day, "", partition), figures)
            _add(sums, Place("curve", f"{first[:7]}/{_months_between(first, day):03d}", "", partition), figures)
        return sums


def _shared(row: _Held) -> tuple[int, str, str, str, str, str]:
    month = month_of(row.first_order_ms)
    return row.partition, row.segment or "", row.acquisition_source, row.campaign_type, row.confidence, month


def _add(sums: dict[Any, _Figures], place: Any, figures: _Figures) -> None:
    found = sums.get(place)
    sums[place] = figures if found is None else tuple(map(add, found, figures))


def _minus(figures: _Figures, others: _Figures) -> _Figures:
    return tuple(map(sub, figures, others))


_NOTHING: _Figures = (0,) * len(MEASURES)


def _figures(orders: int, revenue: int, refunded: int, clv: int, lower: int, upper: int) -> _Figures:
    half_width = (upper - lower) // 200
    return 1, orders, revenue, refunded, clv, lower, upper, min(half_width * half_width, _MOST_SPREAD)


def _rows(connection: Connection, customer_ids: Sequence[str]) -> dict[str, _Held]:
    query = select(_customers.c.customer_id, *_KEPT).where(_customers.c.customer_id.in_(customer_ids))
    return {row[0]: _Held(*row[1:]) for row in connection.execute(query).all()}


_KEPT = [_customers.c[name] for name in _Held._fields]


def _write(connection: Connection, sums: Mapping[Place, _Figures]) -> None:
    rows = [
        {**place._asdict(), **dict(zip(MEASURES, figures, strict=True))}
        for place, figures in sorted(sums.items())
        if any(figures)
    ]
    add_up(connection, tables.totals, rows)
    # A name that nobody bears any more must not stay: hostile input could bring ever new ones.
    standing = tables.totals.c.dimension.in_(("source", "campaign"))
    if any(place.dimension in ("source", "campaign") and figures[0] < 0 for place, figures in sums.items()):
        connection.execute(delete(tables.totals).where(standing, tables.totals.c.customers == 0))


def keep_moves(connection: Connection, changes: Iterable[Row]) -> None:
    """Count segment changes by day, segments and reason; give only those that are new to the database."""
    sums: dict[tuple[str, str, str, str, int], _Figures] = {}
    for row in changes:
        day = _day_of(row["as_of_ms"])
        place = (day, row["from_segment"] or "", row["to_segment"], row["reason"], row["partition"])
        _add(sums, place, (1, max(row["clv_before_minor"], 0), row["clv_after_minor"]))
    names = ("day", "from_segment", "to_segment", "reason", "partition")
    rows = [
        dict(zip(names, place, strict=True)) | {"changes": n, "clv_before_minor": before, "clv_after_minor": after}
        for place, (n, before, after) in sorted(sums.items())
    ]
    add_up(connection, tables.segment_moves, rows)


def keep_activity(connection: Connection, bucket_ms: int, figures: Mapping[int, Mapping[str, int]]) -> None:
    """Count what was stored in a stretch of the clock, by partition, and forget what is older than two days."""
    add_up(
        connection,
        tables.activity,
        [{"at_ms": bucket_ms, "partition": partition, **found} for partition, found in sorted(figures.items())],
    )
    connection.execute(delete(tables.activity).where(tables.activity.c.at_ms < bucket_ms - ACTIVITY_KEPT_MS))


ACTIVITY_BUCKET_MS = 10_000
ACTIVITY_KEPT_MS = 2 * DAY_MS


def _day_of(moment_ms: int) -> str:
    return _date(moment_ms // DAY_MS) if moment_ms >= 0 else ""


@lru_cache(maxsize=4096)
def _date(day: int) -> str:
    return datetime.fromtimestamp(day * 86_400, UTC).date().isoformat()


def _months_between(first: str, later: str) -> int:
    """Return how many months a day, ``1997-01-31``, lies after another; 0 where it lies before, or one is unknown."""
    if not first or not later or later < first:
        return 0
    return (int(later[:4]) - int(first[:4])) * 12 + int(later[5:7]) - int(first[5:7])
