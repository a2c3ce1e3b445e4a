"""A recorded log sent a second time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from cli.topology import Topology
from clv.settings import Settings
from storage.overview import summarise
from storage.tables import customers
from tests.acceptance.processes import UNPACED, has_learned, is_caught_up, run, wait_until
from tests.acceptance.totals import csv_totals, stored_totals, write_sample

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from storage.engine import Database


@pytest.mark.embedded
@pytest.mark.slow
def test_a_log_sent_twice_changes_only_the_duplicate_counter(tmp_path: Path) -> None:
    """The second sending leaves every customer's row, score, change and label as it was; each order is a duplicate."""
    settings = Settings(data_dir=tmp_path / "data")
    log = write_sample(tmp_path / "log.csv", ending="07")
    with Topology(settings) as topology:
        run(settings, "replay", str(log), *UNPACED, seconds=90)
        wait_until(lambda: is_caught_up(topology), seconds=60, what="the log is applied")
        # At full speed the trainer is behind the log, and goes on publishing when the workers have nothing left to do.
        wait_until(lambda: has_learned(topology, settings), seconds=120, what="the trainer has come as far")
        first, first_held = summarise(topology.database), _held(topology.database)
        assert stored_totals(topology.database) == csv_totals(log)
        assert first.counts["duplicate"] == 0

        run(settings, "replay", str(log), "--restart", *UNPACED, seconds=90)
        wait_until(lambda: is_caught_up(topology), seconds=60, what="the log is seen again")
        again = summarise(topology.database)
        assert _held(topology.database) == first_held
        assert (
            again.counts["duplicate"] == first.counts["applied"] == sum(t.order_count for t in csv_totals(log).values())
        )
        assert {name: again.counts[name] for name in ("applied", "late", "dead", "erased")} == {
            name: first.counts[name] for name in ("applied", "late", "dead", "erased")
        }
        assert (again.scores, again.segment_changes, again.examples, again.models, again.watermark_ms) == (
            first.scores,
            first.segment_changes,
            first.examples,
            first.models,
            first.watermark_ms,
        )


def _held(database: Database) -> list[Any]:
    with database.reading() as connection:
        return list(connection.execute(select(customers).order_by(customers.c.customer_id)).all())
