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
    from collections.abc import Callable, Iterable, Mapping, Sequence

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


def keep_totals(connection: Connection, history: Iterable[tuple[str, Row | None]]) -> None:
    """Take customers' rows as they are out of the sums and put the new ones in; call it before they are written.

    Parameters
    ----------
    history
        Customers and their new rows, None where a customer is erased, in the order in which it happened: each row
        counts on its own day what it changed.

    Notes
    -----
    Some ten microseconds a customer, three a row. Rows are summed by all that they share first, and by each dimension
    of it afterwards: there are far fewer combinations than rows. However a history is cut into batches, the sums end
    alike: so a database made again from the topics has the same.
    """
    steps: defaultdict[str, list[_Held | None]] = defaultdict(list)
    for customer_id, row in history:
        steps[customer_id].append(None if row is None else _Held(*map(row.__getitem__, _Held._fields)))
    changed = list(steps)
    change = _Change()
    for start in range(0, len(changed), _CHUNK):
        customer_ids = changed[start : start + _CHUNK]
        before = _rows(connection, customer_ids)
        for customer_id in customer_ids:
            change.pass_through(before.get(customer_id), steps[customer_id])
    _write(connection, change.sums())


class _Change:
    """What a batch changes in the sums: by what rows have in common, by level of CLV, and by moment."""

    def __init__(self) -> None:
        self._shared: _Sums = {}
        self._levels: _Sums = {}
        self._moves: _Sums = {}

    def pass_through(self, before: _Held | None, steps: Sequence[_Held | None]) -> None:
        """Take a customer from one row (None: not there) through others to the last."""
        held = before
        for step in steps:
            self._move(held, step)
            held = step
        if before is not None and held is not None and _shared(before) == _shared(held):
            _add(self._shared, _shared(held), _minus(_figures_of(held), _figures_of(before)))
        else:
            self._stand(_shared, self._shared, before, held)
        self._stand(_level, self._levels, before, held)

    @staticmethod
    def _stand(
        place_of: Callable[[_Held], tuple[Any, ...]], sums: _Sums, before: _Held | None, held: _Held | None
    ) -> None:
        if before is not None:
            _add(sums, place_of(before), _minus(_NOTHING, _figures_of(before)))
        if held is not None:
            _add(sums, place_of(held), _figures_of(held))

    def _move(self, old: _Held | None, new: _Held | None) -> None:
        """Count what a step changed on the day of its row; who is erased leaves on the day of the last row."""
        of = new or old
        was, now = _figures_of(old), _figures_of(new)
        if of is not None and was != now:
            place = (of.partition, _day_of(of.as_of_ms), of.first_order_ms // DAY_MS)
            _add(self._moves, place, _minus(now, was))

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


def _level(row: _Held) -> tuple[int, int]:
    return row.partition, level_of(row.clv_minor)


def _shared(row: _Held) -> tuple[int, str, str, str, str, str]:
    month = month_of(row.first_order_ms)
    return row.partition, row.segment or "", row.acquisition_source, row.campaign_type, row.confidence, month


def _add(sums: dict[Any, _Figures], place: Any, figures: _Figures) -> None:
    found = sums.get(place)
    sums[place] = figures if found is None else tuple(map(add, found, figures))


def _minus(figures: _Figures, others: _Figures) -> _Figures:
    return tuple(map(sub, figures, others))


_NOTHING: _Figures = (0,) * len(MEASURES)


def _figures_of(row: _Held | None) -> _Figures:
    return _NOTHING if row is None else _figures(*row[-6:])


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
    if any(figure < 0 for figures in sums.values() for figure in figures):
        connection.execute(delete(tables.totals).where(*(tables.totals.c[name] == 0 for name in MEASURES)))


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
