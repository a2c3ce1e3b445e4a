"""A backup taken in the middle of the work, and a deployment that goes on from it elsewhere."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from cli.topology import Topology
from clv.settings import Settings
from storage.archive import read_manifest
from storage.engine import Database
from tests.acceptance import dumps
from tests.acceptance.going_on import SHOP, await_newer, check_going_on, is_stored, newest_sequence
from tests.acceptance.processes import applied, has_caught_up, is_caught_up, run, running, wait_until
from tests.acceptance.sending import send, ticks
from tests.acceptance.totals import stored_totals

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.kafka
@pytest.mark.postgres
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_backup_under_load_and_the_topics_give_everything(
    kafka_bootstrap: str, postgres_database: str, tmp_path: Path
) -> None:
    """Saved while orders flow, the database is destroyed later; restored on PostgreSQL it ends as it had been."""
    settings = Settings(broker=kafka_bootstrap, data_dir=tmp_path / "first")
    file = tmp_path / "middle.clvbackup"
    with Topology(settings) as topology, running(settings, "generate", *SHOP) as generate:
        wait_until(lambda: applied(topology.database) > 500, seconds=60, what="orders are applied")
        run(settings, "keys", "create", "team", "--scope", "read", seconds=30)
        wait_until(lambda: bool(dumps.dump(topology.database, ["models"])["models"]), seconds=60, what="a model is out")
        run(settings, "backup", str(file), seconds=60)
        assert generate.process.is_running
        generate.finish(seconds=120)
        send(settings, ticks(settings, "2024-09-02T00:00:00Z"))  # the trainer ends at the same moment both times
        wait_until(lambda: is_caught_up(topology), seconds=120, what="everyone has caught up")
    with closing(Database(settings.sql_url)) as database:
        before = dumps.dump(database)
        keys, learned = dumps.dump(database, ["api_keys"]), dumps.dump(database, ["metrics"])
        sequence, totals = newest_sequence(database), stored_totals(database)
    saved = {entry.name: entry.rows for entry in read_manifest(file).tables}
    assert 0 < saved["scores"] < len(before["scores"])

    settings = replace(settings, data_dir=tmp_path / "second", database_url=postgres_database)
    said = json.loads(run(settings, "restore", str(file), "--json", seconds=60))
    assert said["rows"] == sum(saved.values())
    with closing(Database(settings.sql_url)) as database, running(settings, "sink"):
        wait_until(lambda: is_stored(settings, database), seconds=120, what="the sink has read what came since")
        assert dumps.differences(before, dumps.dump(database)) == {}
        assert dumps.dump(database, ["api_keys"]) == keys
        with running(settings, "trainer"):
            wait_until(lambda: has_caught_up(settings, database), seconds=120, what="the trainer has learned the rest")
            await_newer(database, sequence)
        assert dumps.dump(database, ["metrics"]) == learned
    check_going_on(settings, totals, behind=sequence)
