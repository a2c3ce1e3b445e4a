"""The benchmarks of sink and growth, on a small made-up shop: what they report, not how large it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks import growth
from benchmarks.plots import Panel, draw
from benchmarks.shop import Traded, trade
from benchmarks.sink import measure_sink

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def traded() -> Traded:
    """Give a shop with fitted models."""
    return trade(300, 130)


def test_the_sink_stores_what_a_worker_gives_out(traded: Traded) -> None:
    """Each order has a score and a row of the state at least."""
    found = measure_sink(
        traded.scorer, count=2_000, customers=500, database_url="", rounds=1, start_ms=int(traded.as_of_ms[0])
    )
    assert found["records_per_order"] > 1.5
    assert found["orders_per_s"] == pytest.approx(found["records"]["per_s"] / found["records_per_order"], rel=0.02)


def test_growth_is_measured_by_what_grows(traded: Traded, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A cost for each size; a picture of it is one."""
    for name in ("BATCHES", "HISTORIES", "CUSTOMERS", "PARTITIONS"):
        monkeypatch.setattr(growth, name, (1, 20))
    monkeypatch.setattr(growth, "_MEASURED", 200)
    found = growth.measure_growth(traded.scorer, start_ms=int(traded.as_of_ms[0]), rounds=1)["cpu_us_per_order"]
    assert list(found) == ["batch_size", "history", "customers", "partitions"]
    assert all(list(costs) == ["1", "20"] for costs in found.values())
    assert found["batch_size"]["1"] > found["batch_size"]["20"] > 0
    draw([Panel("t", "x", "y", found, bound=1.0)], tmp_path / "growth.png")
    assert (tmp_path / "growth.png").read_bytes().startswith(b"\x89PNG")
