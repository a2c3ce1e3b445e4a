"""A database that is gone, made again from the topics alone."""

from __future__ import annotations

import asyncio
import json
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from cli.topology import Topology
from clv.events import parse_time_ms
from clv.published import SCORER_NAME, sequence_of
from clv.settings import Settings
from storage import tables
from storage.engine import Database
from storage.learning import read_models
from storage.schema import upgrade
from streams.lag import measure_lag
from tests.acceptance import dumps
from tests.acceptance.processes import has_caught_up, is_caught_up, run, running, wait_until
from tests.acceptance.sending import Sent, order, send, ticks
from tests.acceptance.totals import Totals, stored_totals

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

SHOP = (
    *("--count", "600", "--days", "240", "--seed", "5"),
    *("--late-rate", "0.02", "--out-of-order-rate", "0.05", "--duplicate-rate", "0.03", "--refund-rate", "0.1"),
)


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
        erase = [_erasure(customer_id) for customer_id in _some_customers(topology.database)]
        send(settings, [*erase, Sent(b"x", b"no JSON"), *ticks(settings, "2024-09-02T00:00:00Z")])
        wait_until(lambda: is_caught_up(topology), seconds=120, what="everyone has caught up")
    with closing(Database(settings.sql_url)) as database:
        before = dumps.dump(database)
        assert all(before.values()), [name for name, rows in before.items() if not rows]
        learned, sequence = dumps.dump(database, ["metrics"]), _newest_sequence(database)
        totals = stored_totals(database)
    for file in tmp_path.glob("clv.db*"):
        file.unlink()

    upgrade(settings.sql_url)
    with closing(Database(settings.sql_url)) as database, running(settings, "sink"):
        wait_until(lambda: _is_stored(settings, database), seconds=120, what="the sink has read everything")
        assert dumps.differences(before, dumps.dump(database)) == {}

        with running(settings, "trainer"):
            wait_until(lambda: has_caught_up(settings, database), seconds=120, what="the trainer has learned anew")
        assert dumps.dump(database, ["metrics"]) == learned
        assert _newest_sequence(database) > sequence
        assert dumps.dump(database, ["budget_signals"])["budget_signals"] == before["budget_signals"]

    again = list(totals)[::7]
    with Topology(settings) as topology:
        orders = [order(customer_id, 1, "2024-09-03T12:00:00Z") for customer_id in again]
        # Beyond what another worker may have scored already, models learned anew are taken up.
        send(settings, [*orders, *ticks(settings, "2024-09-05T00:00:00Z")])
        wait_until(lambda: is_caught_up(topology), seconds=120, what="new orders are applied")
        expected = totals | {
            customer_id: Totals(totals[customer_id].order_count + 1, totals[customer_id].revenue_minor + 1_000, *rest)
            for customer_id in again
            for rest in [totals[customer_id][2:]]
        }
        assert stored_totals(topology.database) == expected
        scorers = {_scorer_of(row) for row in _scores_of(topology.database, since="2024-09-03T12:00:00Z")}
        assert {sequence_of(version) > sequence for version in scorers} == {True}


def _newest_sequence(database: Database) -> int:
    return max(sequence_of(row.version) for row in read_models(database) if row.name == SCORER_NAME)


def _scores_of(database: Database, *, since: str) -> list[dict[str, Any]]:
    since_ms = parse_time_ms(since)
    return [row for row in dumps.dump(database, ["scores"])["scores"] if row["as_of_ms"] >= since_ms]


def _scorer_of(score: dict[str, Any]) -> str:
    return str(json.loads(score["model_versions"])["scorer"])


def _is_stored(settings: Settings, database: Database) -> bool:
    return asyncio.run(measure_lag(settings, database)).outputs == 0


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
