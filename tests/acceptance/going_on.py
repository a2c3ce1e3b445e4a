"""Whether a deployment whose database was lost or restored goes on as if nothing had been."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from cli.topology import Topology
from clv.events import parse_time_ms
from clv.published import SCORER_NAME, sequence_of
from storage.learning import read_models
from streams.lag import measure_lag
from tests.acceptance import dumps
from tests.acceptance.processes import is_caught_up, wait_until
from tests.acceptance.sending import order, send, ticks
from tests.acceptance.totals import Totals, stored_totals

if TYPE_CHECKING:
    from typing import Any

    from clv.settings import Settings
    from storage.engine import Database

SHOP = (
    *("--count", "600", "--days", "240", "--seed", "5"),
    *("--late-rate", "0.02", "--out-of-order-rate", "0.05", "--duplicate-rate", "0.03", "--refund-rate", "0.1"),
)
"""A shop from January to August 2024, for ``clv generate``."""


def is_stored(settings: Settings, database: Database) -> bool:
    """Tell whether the sink has stored all that the topics hold."""
    return asyncio.run(measure_lag(settings, database)).outputs == 0


def newest_sequence(database: Database) -> int:
    """Return the last sequence that the sink has stored of the scorer."""
    return max(sequence_of(row.version) for row in read_models(database) if row.name == SCORER_NAME)


def await_newer(database: Database, behind: int) -> None:
    """Wait until a scorer numbered higher is stored: the trainer announces it after it has saved what it learned."""
    wait_until(lambda: newest_sequence(database) > behind, seconds=60, what=f"a scorer behind {behind} is stored")


def check_going_on(settings: Settings, totals: dict[str, Totals], *, behind: int) -> None:
    """Fail unless more orders, in September, come on top of these totals and are scored by models numbered higher."""
    again = list(totals)[::7]
    with Topology(settings) as topology:
        orders = [order(customer_id, 1, "2024-09-03T12:00:00Z") for customer_id in again]
        send(settings, [*orders, *ticks(settings, "2024-09-05T00:00:00Z")])
        wait_until(lambda: is_caught_up(topology), seconds=120, what="new orders are applied")
        expected = totals | {customer_id: _one_more(totals[customer_id]) for customer_id in again}
        assert stored_totals(topology.database) == expected
        scorers = {_scorer_of(row) for row in _scores_of(topology.database, since="2024-09-03T12:00:00Z")}
        assert {sequence_of(version) > behind for version in scorers} == {True}


def _one_more(before: Totals) -> Totals:
    return before._replace(order_count=before.order_count + 1, revenue_minor=before.revenue_minor + 1_000)


def _scores_of(database: Database, *, since: str) -> list[dict[str, Any]]:
    since_ms = parse_time_ms(since)
    return [row for row in dumps.dump(database, ["scores"])["scores"] if row["as_of_ms"] >= since_ms]


def _scorer_of(score: dict[str, Any]) -> str:
    return str(json.loads(score["model_versions"])["scorer"])
