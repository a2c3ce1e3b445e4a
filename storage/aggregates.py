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
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import delete, select

from clv.rules import DAY_MS
from storage import tables
from storage.dialect import add_up

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

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
_CHUNK = 500

_customers = tables.customers


class Place(NamedTuple):
    """A sum: of which dimension, under which name, of which segment, of which partition."""

    dimension: str
    name: str
    segment: str
    partition: int


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


def place_names(row: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield dimension, name and segment of every standing sum that a customer's row is part of."""
    segment = row["segment"] or ""
    yield "segment", segment, segment
    yield "source", row["acquisition_source"], segment
    yield "campaign", row["campaign_type"], segment
    yield "cohort", month_of(row["first_order_ms"]), ""
    yield "level", f"{level_of(row['clv_minor']):04d}", ""
    yield "confidence", row["confidence"], ""


def move_names(row: Mapping[str, Any], first_order_ms: int) -> tuple[tuple[str, str, str], ...]:
    """Return the sums of what changed when: by day, and by acquisition month and months since.

    A change counts on the day of the score that brought it; all days together are the standing sum.
    """
    age = _months_between(first_order_ms, row["as_of_ms"])
    return ("day", _day_of(row["as_of_ms"]), ""), ("curve", f"{month_of(first_order_ms)}/{age:03d}", "")


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
    """
    gone = set(erased)
    changed = [*rows, *(customer_id for customer_id in gone if customer_id not in rows)]
    steps: defaultdict[str, list[Row]] = defaultdict(list)
    for score in scores:
        steps[score["customer_id"]].append(score)
    sums: defaultdict[Place, list[int]] = defaultdict(lambda: [0] * len(MEASURES))
    for start in range(0, len(changed), _CHUNK):
        customer_ids = changed[start : start + _CHUNK]
        before = _rows(connection, customer_ids)
        for customer_id in customer_ids:
            old, new = before.get(customer_id), rows.get(customer_id)
            if old is not None:
                _stand(sums, old, -1)
            if old is not None and customer_id in gone:
                _move(sums, old, old["first_order_ms"], _figures(old), _NOTHING)
                old = None
            if new is not None:
                _stand(sums, new, 1)
                was = _figures(old) if old else _NOTHING
                for step in steps.get(customer_id) or [new]:
                    now = _figures(step)
                    _move(sums, step, new["first_order_ms"], was, now)
                    was = now
    _write(connection, sums)


def _stand(sums: defaultdict[Place, list[int]], row: Mapping[str, Any], sign: int) -> None:
    figures = _figures(row)
    for names in place_names(row):
        _add(sums[Place(*names, row["partition"])], figures, sign)


def _move(
    sums: defaultdict[Place, list[int]],
    row: Mapping[str, Any],
    first_order_ms: int,
    was: tuple[int, ...],
    now: tuple[int, ...],
) -> None:
    moved = [after - before for after, before in zip(now, was, strict=True)]
    if any(moved):
        for names in move_names(row, first_order_ms):
            _add(sums[Place(*names, row["partition"])], moved, 1)


def _add(into: list[int], figures: Iterable[int], sign: int) -> None:
    for place, figure in enumerate(figures):
        into[place] += sign * figure


_NOTHING = (0,) * len(MEASURES)


def _figures(row: Mapping[str, Any]) -> tuple[int, ...]:
    half_width = (row["clv_upper_minor"] - row["clv_lower_minor"]) // 200
    return (
        1,
        row["order_count"],
        row["revenue_minor"],
        row["refunded_minor"],
        row["clv_minor"],
        row["clv_lower_minor"],
        row["clv_upper_minor"],
        min(half_width * half_width, _MOST_SPREAD),
    )


def _rows(connection: Connection, customer_ids: Iterable[str]) -> dict[str, Mapping[str, Any]]:
    query = select(*_KEPT).where(_customers.c.customer_id.in_(customer_ids))
    return {row["customer_id"]: dict(row) for row in connection.execute(query).mappings()}


_KEPT = [
    _customers.c[name]
    for name in (
        *("customer_id", "partition", "segment", "acquisition_source", "campaign_type", "confidence"),
        *("first_order_ms", "as_of_ms", "order_count", "revenue_minor", "refunded_minor"),
        *("clv_minor", "clv_lower_minor", "clv_upper_minor"),
    )
]


def _write(connection: Connection, sums: Mapping[Place, list[int]]) -> None:
    rows = [
        {**place._asdict(), **dict(zip(MEASURES, figures, strict=True))}
        for place, figures in sorted(sums.items())
        if any(figures)
    ]
    add_up(connection, tables.totals, rows)
    # A name that nobody bears any more must not stay: hostile input could bring ever new ones.
    standing = tables.totals.c.dimension.in_(("source", "campaign"))
    if any(place.dimension == "source" for place in sums):
        connection.execute(delete(tables.totals).where(standing, tables.totals.c.customers == 0))


def keep_moves(connection: Connection, changes: Iterable[Row]) -> None:
    """Count segment changes by day, segments and reason; give only those that are new to the database."""
    sums: defaultdict[tuple[str, str, str, str, int], list[int]] = defaultdict(lambda: [0, 0, 0])
    for row in changes:
        day = _day_of(row["as_of_ms"])
        found = sums[day, row["from_segment"] or "", row["to_segment"], row["reason"], row["partition"]]
        _add(found, (1, max(row["clv_before_minor"], 0), row["clv_after_minor"]), 1)
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


def _months_between(first_ms: int, later_ms: int) -> int:
    if first_ms < 0 or later_ms < first_ms:
        return 0
    first, later = _day_of(first_ms), _day_of(later_ms)
    return (int(later[:4]) - int(first[:4])) * 12 + int(later[5:7]) - int(first[5:7])
