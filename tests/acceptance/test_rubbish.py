"""Whatever lies on the orders topic, the worker goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest
from sqlalchemy import select

from cli.topology import Topology
from clv.settings import Settings
from clv.topics import DEAD_LETTERS, ORDERS
from storage.tables import dead_letters
from tests.acceptance.outputs import read_topic
from tests.acceptance.processes import is_caught_up, wait_until
from tests.acceptance.sending import Sent, order, send, ticks
from tests.acceptance.totals import Totals, stored_totals

if TYPE_CHECKING:
    from pathlib import Path

    from storage.engine import Database

AT = "2024-03-01T12:00:00Z"
LARGEST_BYTES = 1_048_576 - 110
"""The topic takes record batches of 1 MiB; the batch's and the record's own fields and a key take the rest."""


class Rubbish(NamedTuple):
    """A record that must end in the dead letters, and why."""

    reason: str
    sent: Sent


def _odd(reason: str, **changes: object) -> Rubbish:
    return Rubbish(reason, order("odd", 1, AT)._replace(value=order("odd", 1, AT, **changes).value))


def _raw(reason: str, value: bytes | None) -> Rubbish:
    return Rubbish(reason, Sent(b"odd", value))


def _corpus() -> list[Rubbish]:
    good = order("odd", 1, AT)
    assert good.value is not None
    return [
        _raw("no_value", None),
        _raw("undecodable", b""),
        _raw("undecodable", good.value[:-20]),
        _raw("undecodable", good.value.replace(b"odd", b"\xff\xfe\xff")),
        _raw("invalid", b"[" * 100_000),
        _raw("undecodable", good.value[:-1] + b', "more": ' + b"[" * 50_000 + b"]" * 50_000 + b"}"),
        _raw("undecodable", good.value.replace(b'"10.00"', b"NaN")),
        _raw("undecodable", b"x" * LARGEST_BYTES),
        _raw("invalid", b"[1, 2, 3]"),
        _raw("invalid", b"{}"),
        _odd("invalid", total=["10.00"]),
        _odd("invalid", items="none"),
        _odd("bad_amount", total="NaN"),
        _odd("bad_amount", total="Infinity"),
        _odd("bad_amount", total="-1.00"),
        _odd("bad_amount", total="10.001"),
        _odd("bad_amount", total="9" * 400),
        _odd("bad_id", event_id=""),
        _odd("bad_id", order_id="x" * 257),
        Rubbish("bad_id", order("x" * 200_000, 1, AT)),
        Rubbish("bad_id", order("a\x00b", 1, AT)),
        _odd("bad_time", occurred_at="2024-03-01T12:00:00"),
        _odd("bad_time", occurred_at="2024-02-30T12:00:00Z"),
        _odd("bad_time", occurred_at=10**300),
        _odd("from_the_future", occurred_at="2099-03-01T12:00:00Z"),
        _odd("foreign_currency", currency="EUR"),
        _odd("unknown_type", type="OrderDreamt"),
        _odd("unknown_schema_version", schema_version=2),
        _odd("unknown_schema_version", schema_version=2, total={"amount": 10}),
        Rubbish("key_mismatch", good._replace(key=None)),
        Rubbish("key_mismatch", good._replace(key=b"somebody")),
    ]


@pytest.fixture(
    params=[
        pytest.param("embedded", marks=pytest.mark.embedded),
        pytest.param("kafka", marks=(pytest.mark.kafka, pytest.mark.postgres)),
    ]
)
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings of a deployment: embedded broker and SQLite, or Kafka and PostgreSQL."""
    if request.param == "embedded":
        return Settings(data_dir=tmp_path)
    broker, database_url = (str(request.getfixturevalue(name)) for name in ("kafka_bootstrap", "postgres_database"))
    return Settings(data_dir=tmp_path, broker=broker, database_url=database_url)


@pytest.mark.slow
def test_rubbish_ends_in_the_dead_letters_and_good_events_are_applied(settings: Settings) -> None:
    """Good and bad records take turns: each bad one is kept whole with reason and position, each good one counts."""
    expected = {f"good-{number}": Totals(1, 1_000) for number in range(len(_corpus()))}
    expected["large"] = Totals(1, 1_000)
    sent = []
    for number, rubbish in enumerate(_corpus()):
        sent += [order(f"good-{number}", 1, AT), rubbish.sent._replace(partition=number % settings.partitions)]
    sent.append(order("large", 1, AT, note="x" * (LARGEST_BYTES - 300)))
    with Topology(settings) as topology:
        connected = topology.connected()
        pids = _pids(topology)
        places = send(connected, sent)
        send(connected, ticks(settings, "2024-03-03T00:00:00Z"))
        wait_until(lambda: is_caught_up(topology), seconds=90, what="everything is applied and stored")
        letters = {
            place: (rubbish.sent.key, rubbish.sent.value, rubbish.reason)
            for place, rubbish in zip(places[1:-1:2], _corpus(), strict=True)
        }
        assert _letters_on_topic(connected) == letters
        assert _letters_in_sql(topology.database) == letters
        assert stored_totals(topology.database) == expected
        assert _pids(topology) == pids


Letters = dict[tuple[int, int], tuple[bytes | None, bytes | None, str]]


def _letters_on_topic(settings: Settings) -> Letters:
    found = {}
    for record in read_topic(settings, DEAD_LETTERS):
        headers = {name: text.decode() for name, text in record.headers}
        assert headers["clv-topic"] == ORDERS
        place = (int(headers["clv-partition"]), int(headers["clv-offset"]))
        found[place] = (record.key, record.value, headers["clv-reason"])
    return found


def _letters_in_sql(database: Database) -> Letters:
    with database.reading() as connection:
        rows = connection.execute(select(dead_letters).where(dead_letters.c.topic == ORDERS)).all()
    return {(row.partition, row.offset): (row.key, row.value, row.reason) for row in rows}


def _pids(topology: Topology) -> dict[str, int]:
    return {role.name: role.process.pid for role in topology.roles if role.process}
