"""``clv bench api`` on a small shop: every kind of request is answered, by models; no figure is judged."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks.api import TARGETS_MS
from cli.main import run

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
def test_each_kind_of_request_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Percentiles in order, and as many answers as were due."""
    monkeypatch.setenv("CLV_DATA_DIR", str(tmp_path))
    small = ("--customers", "2000", "--seconds", "1", "--rate", "20")
    assert run(["bench", "api", *small, "--json"], {"bench": "cli.bench"}) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (found["customers"], found["store"], found["predicted_by"]) == (2_000, "sqlite", "stream")
    assert {name: figures["target_p99_ms"] for name, figures in found["requests"].items()} == TARGETS_MS
    for figures in found["requests"].values():
        assert figures["requests"] == figures["per_second"]
        assert 0 < figures["p50_ms"] <= figures["p95_ms"] <= figures["p99_ms"] <= figures["max_ms"]
