"""What became of events, and everybody scored again, on a running deployment."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from cli.topology import Topology
from clv.settings import Settings
from tests.acceptance import dumps
from tests.acceptance.processes import is_caught_up, run, running, wait_until
from tests.acceptance.sending import Sent, order, send, ticks

if TYPE_CHECKING:
    from pathlib import Path

AT = "2024-03-01T12:00:00Z"
CUSTOMERS = [f"c{number}" for number in range(30)]


@pytest.mark.kafka
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_events_are_explained_and_customers_scored_again(kafka_bootstrap: str, tmp_path: Path) -> None:
    """Applied, sent twice, refused and not yet read are told apart; a sweep gives each customer one more score."""
    settings = Settings(broker=kafka_bootstrap, data_dir=tmp_path)
    with Topology(settings) as topology:
        places = send(settings, [order(customer, 1, AT) for customer in CUSTOMERS])
        twice = send(settings, [order("c0", 1, AT)])
        refused = send(settings, [Sent(b"c1", b'{"event_id": "odd", "type": "OrderPlaced"}')])
        send(settings, ticks(settings, "2024-03-05T00:00:00Z"))
        wait_until(lambda: is_caught_up(topology), seconds=120, what="the orders are applied")

        first, second = _explained(settings, "c0-e1")["records"]
        assert [(each["partition"], each["offset"]) for each in (first, second)] == [places[0], twice[0]]
        assert [each["verdict"] for each in (first, second)] == ["applied", "duplicate"]
        score = first["outputs"]["scores"][0]["event_id"]
        assert second["outputs"] == {}
        led = _explained(settings, score)
        assert (led["event_id"], led["is_in"], led["records"]) == ("c0-e1", "scores", [first, second])
        (odd,) = _explained(settings, "odd", "--customer", "c1")["records"]
        assert (odd["verdict"], (odd["partition"], odd["offset"])) == ("refused", refused[0])
        with running(settings, "explain", "nothing", "--json") as none:
            wait_until(lambda: not none.process.is_running, seconds=60, what="nothing is found")
        assert "no record of clv.orders.v1 has the event_id 'nothing'" in none.output

        before = dumps.dump(topology.database, ["scores", "customer_states"])
        asked = json.loads(run(settings, "rescore", "--rate", "1000", "--json", seconds=60))
        assert (asked["asked"], asked["customers"]) == (len(CUSTOMERS), len(CUSTOMERS))
        send(settings, ticks(settings, "2024-03-05T00:00:01Z"))
        wait_until(lambda: is_caught_up(topology), seconds=120, what="everybody is scored again")
        after = dumps.dump(topology.database, ["scores"])["scores"]
        added = [row for row in after if row not in before["scores"]]
        assert sorted(row["customer_id"] for row in added) == sorted(CUSTOMERS)
        assert {row["as_of_ms"] for row in added} == {1_709_510_400_000}
        event_id = added[0]["cause"].partition("@")[0]
        (told,) = _explained(settings, event_id)["records"]
        assert (told["verdict"], told["outputs"]["scores"][0]["event_id"]) == ("rescored", added[0]["event_id"])

    late = send(settings, [order("c2", 2, AT)])
    (told,) = _explained(settings, "c2-e2")["records"]
    assert (told["verdict"], (told["partition"], told["offset"])) == ("waiting", late[0])


def _explained(settings: Settings, *arguments: str) -> dict[str, Any]:
    return dict(json.loads(run(settings, "explain", *arguments, "--json", seconds=60)))
