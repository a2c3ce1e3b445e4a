"""The benchmarks on a real Kafka: every subject runs, and the reports have the form that they document.

No figure is judged: small sizes on a busy machine say nothing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import pytest

from benchmarks.latency import measure_latency
from benchmarks.load import fill, publish
from benchmarks.recovery import measure_memory, measure_recovery
from benchmarks.scale import measure_scale
from benchmarks.shop import trade
from benchmarks.size import Shop, measure_size
from benchmarks.throughput import measure_throughput
from cli.main import run
from clv.settings import Settings
from clv.topics import ORDERS, SCORES
from streams.admin import group_lag
from streams.kafka_server import KafkaServer

if TYPE_CHECKING:
    from pathlib import Path

    from models.scorer import SnapshotScorer

COMMANDS = {"bench": "cli.bench"}
COUNT = 60_000
ROUNDED = 0.006
"""What two decimals of a ratio leave out, and a little."""


class Bench(NamedTuple):
    """A Kafka with orders on it and a published scorer, as the commands prepare it."""

    settings: Settings
    scorer: SnapshotScorer
    start_ms: int


@pytest.fixture(scope="module")
def bench(kafka_bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """Give a Kafka to measure on."""
    traded = trade(300, 130)
    folder = tmp_path_factory.mktemp("bench")
    settings = replace(Settings(), broker=kafka_bootstrap, data_dir=folder, segment_cutoffs="200,50")
    start_ms = int(traded.as_of_ms[0])
    fill(settings, COUNT, 5_000, start_ms=start_ms)
    publish(settings, traded.scorer)
    return Bench(settings, traded.scorer, start_ms)


def on_topic(bench: Bench) -> int:
    """Return how many orders lie on the topic: other tests add some."""
    return sum(group_lag(bench.settings, group="nobody", topic=ORDERS).values())


@pytest.mark.kafka
@pytest.mark.slow
@pytest.mark.timeout(200)
def test_ours_and_peers_are_measured_on_the_same_topic(bench: Bench) -> None:
    """A small topic, one round: rates, processor time and ratios of ours against each peer."""
    peers = ("stock_faust", "per_record_loop")
    found = measure_throughput(bench.settings, count=on_topic(bench), peers=peers, rounds=1)
    assert set(found["peers"]) == set(peers)
    ours = found["ours"]
    for name, figures in found["peers"].items():
        assert figures["events_per_s"] > 0
        assert figures["warm_cpu_us_per_event"] > 0
        assert found["ratio"][name] == pytest.approx(
            ours["events_per_s"] / figures["events_per_s"], rel=0.02, abs=ROUNDED
        )
        assert found["cpu_ratio"][name] == pytest.approx(
            ours["cpu_us_per_event"] / figures["cpu_us_per_event"], rel=0.02, abs=ROUNDED
        )


@pytest.mark.kafka
@pytest.mark.slow
@pytest.mark.timeout(120)
def test_workers_are_measured_together(bench: Bench) -> None:
    """Growth is against one worker."""
    found = measure_scale(bench.settings, count=on_topic(bench), rounds=1)["workers"]
    assert list(found) == ["1", "2", "4"]
    for each in found.values():
        assert each["cpu_growth"] == pytest.approx(
            each["cpu_us_per_event"] / found["1"]["cpu_us_per_event"] - 1, abs=0.01
        )


@pytest.mark.kafka
@pytest.mark.slow
@pytest.mark.timeout(120)
def test_every_order_is_timed_from_when_it_was_due(bench: Bench) -> None:
    """Ours and a peer's answers, at each rate."""
    start_ms = bench.start_ms + COUNT * 5_000
    found = measure_latency(bench.settings, rates=(50, 100), seconds=1.0, peers=("per_record_loop",), start_ms=start_ms)
    assert list(found["rates"]) == ["50", "100"]
    for of_rate in found["rates"].values():
        assert set(of_rate) == {"ours", "per_record_loop"}
        for each in of_rate.values():
            assert 0 < each["p50_ms"] <= each["p99_ms"] <= each["max_ms"]


@pytest.mark.kafka
@pytest.mark.slow
@pytest.mark.timeout(180)
def test_starts_are_timed_to_their_first_score(bench: Bench) -> None:
    """With nothing local by either store, and with a local store; each scores its orders once."""
    found = measure_recovery(bench.settings, bench.scorer, customers=3_000, start_ms=bench.start_ms)
    assert set(found["starts"]) == {"memory_cold", "rocksdb_cold", "rocksdb_warm"}
    for each in found["starts"].values():
        assert 0 < each["first_s"] <= each["all_s"]
        assert each["resident_mb"] > 20
    assert found["changelog_bytes_per_customer"] > 300


@pytest.mark.kafka
@pytest.mark.slow
@pytest.mark.timeout(180)
def test_memory_is_what_a_worker_holds_beyond_an_empty_one(bench: Bench) -> None:
    """By store and size."""
    found = measure_memory(bench.settings, bench.scorer, sizes=(30_000,), start_ms=bench.start_ms)
    in_memory = found["stores"]["memory"]["30000"]
    assert in_memory["bytes_per_customer"] > 300
    assert in_memory["resident_mb"] > found["empty_mb"]["memory"]
    assert found["rocksdb_disk_bytes_per_customer"]["30000"] > 100


@pytest.mark.kafka
@pytest.mark.slow
@pytest.mark.timeout(240)
def test_sizes_are_of_what_lies_on_topics_and_in_tables(bench: Bench, kafka_libs: Path, tmp_path: Path) -> None:
    """Every order and score is on its topic and in SQL; customers as many as have ordered, each with a row."""
    with KafkaServer(tmp_path / "kafka", kafka_libs) as server:
        settings = replace(bench.settings, broker=server.bootstrap, data_dir=tmp_path)
        found = measure_size(
            settings,
            bench.scorer,
            Shop(200, 4),
            data=tmp_path / "kafka" / "broker-0" / "data",
            start_ms=bench.start_ms,
            asked_of=1_000,
            stores=(),
        )
    topics, tables = found["topics"], found["sql"]["sqlite"]["tables"]
    assert topics[ORDERS]["records"] == found["orders"] == 800
    assert tables["scores"]["rows"] == topics[SCORES]["records"] > 800
    assert 150 < found["customers"] <= 200
    assert tables["customer_states"]["rows"] == found["customers"] + settings.partitions
    assert all(200 < each["bytes_per_record"] < 3_000 for each in topics.values())
    assert found["row_bytes"] > 300


def test_an_unknown_peer_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """One line, and who is known."""
    assert run(["bench", "throughput", "--peers", "flink"], COMMANDS) == 1
    said = capsys.readouterr().err
    assert "no peer 'flink'" in said
    assert "stock_faust" in said


def test_a_rate_that_is_none_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """With the option."""
    assert run(["bench", "latency", "--peers", "none", "--rates", "fast"], COMMANDS) == 1
    assert "--rates" in capsys.readouterr().err
