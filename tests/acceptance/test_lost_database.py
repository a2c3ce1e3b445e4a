"""A database that is gone, made again from the topics alone."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from cli.topology import Topology
from clv.settings import Settings
from storage import tables
from storage.engine import Database
from storage.schema import upgrade
from tests.acceptance import dumps
from tests.acceptance.going_on import SHOP, await_newer, check_going_on, is_stored, newest_sequence
from tests.acceptance.processes import has_caught_up, is_caught_up, run, running, wait_until
from tests.acceptance.sending import Sent, order, send, ticks
from tests.acceptance.totals import stored_totals

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any


def test_every_table_is_named() -> None:
    """Each table is known to come from topics, to be learned anew, to tell of the present, or to be only here."""
    named = [*dumps.FROM_TOPICS, *dumps.LEARNED_ANEW, *dumps.BY_THE_CLOCK, *dumps.ONLY_HERE]
    assert sorted(named) == sorted(tables.metadata.tables)


@pytest.mark.kafka
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_topics_alone_give_sql_back(kafka_bootstrap: str, tmp_path: Path) -> None:
    """Erasures, refunds and refusals: a sink on an empty database ends with the rows that were lost, and all go on."""
    settings = Settings(broker=kafka_bootstrap, data_dir=tmp_path)
    with Topology(settings) as topology:
        run(settings, "generate", *SHOP, seconds=120)
        wait_until(lambda: is_caught_up(topology), seconds=120, what="the orders are applied")
        _trade_until_proposed(topology)
        erase = [_erasure(customer_id) for customer_id in _some_customers(topology.database)]
        send(settings, [*erase, Sent(b"x", b"no JSON"), *ticks(settings, "2024-09-02T00:00:00Z")])
        wait_until(lambda: is_caught_up(topology), seconds=120, what="everyone has caught up")
    with closing(Database(settings.sql_url)) as database:
        before = dumps.dump(database)
        assert all(before.values()), [name for name, rows in before.items() if not rows]
        learned, sequence = dumps.dump(database, ["metrics"]), newest_sequence(database)
        totals = stored_totals(database)
    for file in tmp_path.glob("clv.db*"):
        file.unlink()

    upgrade(settings.sql_url)
    with closing(Database(settings.sql_url)) as database, running(settings, "sink"):
        wait_until(lambda: is_stored(settings, database), seconds=120, what="the sink has read everything")
        assert dumps.differences(before, dumps.dump(database)) == {}

        with running(settings, "trainer"):
            wait_until(lambda: has_caught_up(settings, database), seconds=120, what="the trainer has learned anew")
            await_newer(database, sequence)
        assert dumps.dump(database, ["metrics"]) == learned
        _check_proposals(before["budget_signals"], dumps.dump(database, ["budget_signals"])["budget_signals"])

    check_going_on(settings, totals, behind=sequence)


def _trade_until_proposed(topology: Topology) -> None:
    """Trade on where nothing was proposed, as on a busy machine: the trainer had come to its end before the sink."""
    for day in (29, 30, 31):
        stored = dumps.dump(topology.database, ["customers", "budget_signals"])
        if stored["budget_signals"]:
            return
        bought = [order(row["customer_id"], day, f"2024-08-{day}T12:00:00Z") for row in stored["customers"]]
        send(topology.settings, [*bought, *ticks(topology.settings, f"2024-08-{day}T23:00:00Z")])
        wait_until(lambda: is_caught_up(topology), seconds=120, what=f"orders of August {day} are applied")


def _check_proposals(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> None:
    """What was proposed stays; at most one more proposal is there, and only for segments that have moved since.

    The trainer before saw what the sink had stored at that moment, which may have been less than there is at the end.
    """
    assert [row for row in after if row in before] == before
    added = [row for row in after if row not in before]
    assert len({row["proposal_id"] for row in added}) <= 1
    last_ms = max(row["as_of_ms"] for row in before)
    last = [row for row in before if row["as_of_ms"] == last_ms]
    assert not added or _standings(added) != _standings(last)


def _standings(rows: list[dict[str, Any]]) -> dict[str, tuple[int, int]]:
    return {row["segment"]: (row["customers"], row["total_clv_minor"]) for row in rows}


def _some_customers(database: Database) -> list[str]:
    return [row["customer_id"] for row in dumps.dump(database, ["customers"])["customers"][::40]]


def _erasure(customer_id: str) -> Sent:
    event: dict[str, object] = {
        "type": "CustomerErased",
        "event_id": f"erase-{customer_id}",
        "customer_id": customer_id,
    }
    event |= {"occurred_at": "2024-06-01T00:00:00Z", "schema_version": 1}
    return Sent(customer_id.encode(), json.dumps(event).encode())
