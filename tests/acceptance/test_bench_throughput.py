"""``clv bench throughput`` on a real Kafka: every subject runs, and the report has the form that it documents."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from cli.main import run

if TYPE_CHECKING:
    from pathlib import Path

COMMANDS = {"bench": "cli.bench"}


@pytest.mark.kafka
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_ours_and_peers_are_measured_on_the_same_topic(
    kafka_bootstrap: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A small topic, one round: rates, processor time and ratios of ours against each peer; no figure is judged."""
    monkeypatch.setenv("CLV_DATA_DIR", str(tmp_path))
    small = ("--events", "120000", "--customers", "5000", "--rounds", "1", "--broker", kafka_bootstrap)
    assert run(["bench", "throughput", *small, "--json"], COMMANDS) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert set(found["peers"]) == {"stock_faust", "per_record_loop"}
    assert (found["events"], found["customers"], found["rounds"]) == (120_000, 5_000, 1)
    ours = found["ours"]
    for name, figures in found["peers"].items():
        assert figures["events_per_s"] > 0
        assert found["ratio"][name] == pytest.approx(ours["events_per_s"] / figures["events_per_s"], rel=0.02)
        assert found["cpu_ratio"][name] == pytest.approx(
            ours["cpu_us_per_event"] / figures["cpu_us_per_event"], rel=0.02
        )


def test_an_unknown_peer_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """One line, and who is known."""
    assert run(["bench", "throughput", "--peers", "flink"], COMMANDS) == 1
    said = capsys.readouterr().err
    assert "no peer 'flink'" in said
    assert "stock_faust" in said
