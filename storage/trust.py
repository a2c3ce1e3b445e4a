"""On what grounds money may be moved: what answers, how far it has learned, and who is running."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import select

from clv.events import parse_time_ms
from storage import tables
from storage.cards import card_at
from storage.heartbeats import FRESH_MS, read_heartbeats
from storage.overview import partition_progress

if TYPE_CHECKING:
    from storage.engine import Database


class Grounds(NamedTuple):
    """What ``budget.asking.distrust`` asks for, as SQL knows it."""

    version: str
    learned_through_ms: int
    reached_ms: int
    alarms: list[tuple[str, int]]
    roles: frozenset[str]


def grounds_of(database: Database, scorer_name: str) -> Grounds:
    """Return the newest published scorer, its alarms, the event time reached, and the roles that are alive.

    Raises
    ------
    StoreUnavailable
        When a retry may help.
    """
    models = tables.models
    query = select(models.c.version, models.c.learned_through_ms).where(models.c.name == scorer_name)
    with database.reading() as connection:
        newest = connection.execute(query.order_by(models.c.version.desc()).limit(1)).one_or_none()
    version, learned_ms = (newest[0], newest[1]) if newest else ("", -1)
    stored = card_at(database, version) if version else None
    drift = json.loads(stored.card).get("drift", []) if stored else []
    now_ms = round(time.time() * 1_000)
    return Grounds(
        version,
        learned_ms,
        min((each.watermark_ms for each in partition_progress(database).values()), default=-1),
        [(alarm["detector"], parse_time_ms(alarm["at"])) for alarm in drift],
        frozenset(beat.role for beat in read_heartbeats(database) if now_ms - beat.at_ms <= FRESH_MS),
    )
