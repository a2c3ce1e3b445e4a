"""How long a synchronisation of all audiences takes: the first, one with nothing to do, and one with a little."""

from __future__ import annotations

import random
import time
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ads.platforms import open_platform
from ads.sync import Options
from clv.outcomes import SEGMENTS
from storage.audiences import apply_scores
from storage.engine import Database
from storage.schema import upgrade

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from clv.settings import Settings

CHANGED_SHARE = 0.01
_CHUNK = 20_000
_START_MS = 1_900_000_000_000


def measure_audiences(
    settings: Settings, *, customers: int, observe: Callable[[str], None] = lambda _name: None
) -> dict[str, Any]:
    """Synchronise audiences of made-up customers as files; return seconds and rows of each synchronisation.

    Parameters
    ----------
    settings
        Names the database, and the directory in which the audiences are written.
    """
    own = replace(settings, ads_platform="file")
    upgrade(own.sql_url)
    found = {}
    with closing(Database(own.sql_url)) as database, closing(open_platform(own, database)) as platform:
        _score(database, customers, 1.0, 0)
        for turn, name in enumerate(("first", "nothing_changed", "some_changed")):
            if name == "some_changed":
                _score(database, customers, CHANGED_SHARE, turn)
            begun, cpu = time.perf_counter(), time.process_time()
            reports = platform.synchroniser().run(Options(most_moved_share=1.0))
            found[name] = {
                "seconds": round(time.perf_counter() - begun, 2),
                "cpu_seconds": round(time.process_time() - cpu, 2),
                "added": sum(report.added for report in reports),
                "updated": sum(report.updated for report in reports),
                "removed": sum(report.removed for report in reports),
                "present": sum(report.present for report in reports),
            }
            observe(name.replace("_", " "))
    return {"synchronisations": found, "customers": customers, "changed_share": CHANGED_SHARE}


def _score(database: Database, customers: int, share: float, turn: int) -> None:
    """Store scores of a share of the customers, as the ads role does."""
    for rows in _rows(customers, share, turn):
        apply_scores(database, rows, [], {})


def _rows(customers: int, share: float, turn: int) -> Iterator[list[dict[str, Any]]]:
    draw = random.Random(turn)  # a load, no secret
    rows: list[dict[str, Any]] = []
    for number in range(customers):
        if draw.random() >= share:
            continue
        rows.append(
            {
                "customer_id": f"c{number:07d}",
                "segment": draw.choices(SEGMENTS, (20, 30, 50))[0],
                "clv_minor": draw.randrange(100, 50_000),
                "churn_probability": draw.random(),
                "order_count": draw.randrange(1, 9),
                "as_of_ms": _START_MS + turn,
                "reason": "order",
            }
        )
        if len(rows) == _CHUNK:
            yield rows
            rows = []
    if rows:
        yield rows
