"""A run with rubbish and with people's names for ids: what roles say of it tells where and why, and of whom nothing."""

from __future__ import annotations

import asyncio
import json
import socket
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest
from aiokafka import AIOKafkaProducer

from cli.topology import Topology
from clv.settings import Settings
from clv.topics import ORDERS, SCORES, SEGMENT_CHANGES, TRAINING_EXAMPLES
from streams.clients import aiokafka_settings
from tests.acceptance.processes import is_caught_up, wait_until
from tests.acceptance.sending import Sent, order, send, ticks

if TYPE_CHECKING:
    from pathlib import Path

PERSON = "jane.doe@nobody-should-see-this.example"
DOMAIN = "nobody-should-see-this"
AT = "2024-03-01T12:00:00Z"
AN_ID = "0123456789abcdef0123456789abcdef"
LINES = {
    "record refused": (ORDERS, "worker-1"),
    "output record cannot be stored": (SCORES, "sink"),
    "example cannot be read": (TRAINING_EXAMPLES, "trainer"),
    "record cannot be read": (SEGMENT_CHANGES, "ads"),
}
"""What is said of records that cannot be used, one of its topics each, and who says so."""


def _refused() -> dict[str, list[Sent]]:
    """Return records that carry a person's address in every place, by the reason for which they are refused."""
    good = order(PERSON, 1, AT)
    assert good.value is not None
    return {
        "undecodable": [good._replace(value=good.value[:-9]), Sent(PERSON.encode(), PERSON.encode())],
        "invalid": [order(PERSON, 2, AT, items=PERSON)],
        "bad_amount": [order(PERSON, 3, AT, total=PERSON)],
        "bad_time": [order(PERSON, 4, PERSON)],
        "bad_id": [order(PERSON, 5, AT, order_id=PERSON * 10)],
        "foreign_currency": [order(PERSON, 6, AT, currency="EUR")],
        "unknown_type": [order(PERSON, 7, AT, type=PERSON)],
        "key_mismatch": [order(PERSON, 8, AT)._replace(key=f"2.{PERSON}".encode())],
    }


async def _write_rubbish(settings: Settings) -> None:
    """Write what nobody can read to the output topics: an id like ours, or a person's address for one."""
    async with AIOKafkaProducer(acks="all", **aiokafka_settings(settings)) as producer:
        for topic, ce_id in [(SCORES, AN_ID), (SEGMENT_CHANGES, AN_ID), (TRAINING_EXAMPLES, AN_ID), (SCORES, PERSON)]:
            value = json.dumps({"type": PERSON, "customer_id": [PERSON], "event_id": PERSON}).encode()
            headers = [("ce_id", ce_id.encode()), ("ce_time", PERSON.encode())]
            await producer.send_and_wait(topic, value, key=PERSON.encode(), partition=0, headers=headers)


def _free_ports(count: int) -> int:
    """Return the first of so many ports in a row that nobody listens on."""
    for first in range(21_000, 60_000, 97):
        probes = [socket.socket() for _ in range(count)]
        try:
            for place, probe in enumerate(probes):
                probe.bind(("127.0.0.1", first + place))
        except OSError:
            continue
        else:
            return first
        finally:
            for probe in probes:
                probe.close()
    raise AssertionError("there is no row of free ports")


def _read(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return bytes(answer.read()).decode()


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(
    params=[
        pytest.param("embedded", marks=pytest.mark.embedded),
        pytest.param("kafka", marks=(pytest.mark.kafka, pytest.mark.postgres)),
    ]
)
def servers(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Settings of the servers: embedded broker and SQLite, or Kafka and PostgreSQL."""
    if request.param == "embedded":
        return {}
    broker, database_url = (str(request.getfixturevalue(name)) for name in ("kafka_bootstrap", "postgres_database"))
    return {"broker": broker, "database_url": database_url}


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_logs_and_metrics_tell_where_and_why_and_of_nobody(tmp_path: Path, servers: dict[str, Any]) -> None:
    """Each record that cannot be used has a line with its place and id; no log line, no figure names the person."""
    settings = Settings(
        data_dir=tmp_path,
        **servers,
        log_format="json",
        log_level="debug",
        metrics_port=_free_ports(4),
        ads_window_ms=1_000,
    )
    bad = _refused()
    with Topology(settings) as topology:
        connected = topology.connected()
        places = send(connected, [record for records in bad.values() for record in records])
        send(connected, [order(PERSON, number, AT) for number in range(20, 40)])
        asyncio.run(_write_rubbish(connected))
        send(connected, ticks(settings, "2024-03-03T00:00:00Z"))
        wait_until(lambda: is_caught_up(topology), seconds=90, what="everything is applied and stored")
        logs = {path.stem: path for path in (tmp_path / "logs").glob("*.log")}
        wait_until(
            lambda: all(event in logs[role].read_text(encoding="utf-8") for event, (_, role) in LINES.items()),
            seconds=30,
            what="every role has said what it cannot read",
        )
        # Where partitions stand is looked up every five seconds.
        worker = f"http://127.0.0.1:{settings.metrics_port}/metrics"
        wait_until(
            lambda: 'clv_worker_lag_records{partition="0"} 0.0' in _read(worker), seconds=30, what="the lag is shown"
        )
        pages = {
            name: _read(f"http://127.0.0.1:{settings.metrics_port + place}/metrics")
            for place, name in enumerate(("worker", "sink", "trainer", "ads"))
        }
        pages["api"] = _read(f"{topology.url}metrics")

    said = {role: _lines(logs[role]) for _, role in LINES.values()}
    for event, (topic, role) in LINES.items():
        found = [line for line in said[role] if line["event"] == event]
        assert {line["topic"] for line in found} >= {topic}, event
        assert all(isinstance(line["partition"], int) and isinstance(line["offset"], int) for line in found), event
        assert all(line["event_id"] == "" or len(line["event_id"]) == 32 for line in found), event
    refused = [line for line in said["worker-1"] if line["event"] == "record refused"]
    assert sorted((line["partition"], line["offset"]) for line in refused) == sorted(places)
    assert len({line["event_id"] for line in refused}) == len(places)
    for reason, records in bad.items():
        assert [line["reason"] for line in refused].count(reason) == len(records)
        assert f'clv_worker_dead_letters_total{{reason="{reason}"}} {float(len(records))}' in pages["worker"]
        assert (
            f'clv_sink_dead_letters_total{{reason="{reason}",source="orders"}} {float(len(records))}' in pages["sink"]
        )
    assert 'clv_sink_dead_letters_total{reason="undecodable",source="outputs"} 4.0' in pages["sink"]
    assert "clv_trainer_unreadable_examples_total 1.0" in pages["trainer"]
    everything = pages | {role: path.read_text(encoding="utf-8") for role, path in logs.items()}
    assert [name for name, text in everything.items() if DOMAIN in text or "jane" in text] == []
