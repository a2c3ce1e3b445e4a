"""``clv bench``: each command runs on a small shop and prints what it documents; no figure is judged here."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from cli.main import run

if TYPE_CHECKING:
    from pathlib import Path

COMMANDS = {"bench": "cli.bench"}
SMALL = ("--customers", "700", "--days", "160", "--rounds", "1")
FIGURES = {"per_s", "wall_us", "cpu_us", "runs", "spread"}


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLV_DATA_DIR", str(tmp_path))


def measured(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    """Return the object that a bench prints, less the machine, which must be there."""
    assert run(["bench", *arguments, "--json"], COMMANDS) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert found.pop("machine")["cores"] >= 1
    return found


def test_scoring_is_measured_by_batch_and_part(capsys: pytest.CaptureFixture[str]) -> None:
    """Four batch sizes, five parts, and the verdict on the usual size, all in CPU and wall time."""
    found = measured(capsys, "scoring", *SMALL)
    assert list(found["batches"]) == ["1", "32", "500", "5000"]
    assert list(found["parts"]) == ["btyd", "glm", "online", "ensemble", "interval"]
    assert all(set(figures) == FIGURES for figures in [*found["batches"].values(), *found["parts"].values()])
    assert found["cpu_us_per_customer"] == found["batches"]["500"]["cpu_us"]
    assert found["is_within_target"] == (found["cpu_us_per_customer"] <= found["target_us"])


def test_learning_is_measured_beside_what_a_worker_gives(capsys: pytest.CaptureFixture[str]) -> None:
    """Examples a second, durable, and the rate at which one worker's pipeline produces them."""
    found = measured(capsys, "learner", *SMALL)
    assert set(found["learner"]) == FIGURES
    assert found["examples"] > 100
    assert 0.3 < found["examples_per_order"] < 3.0
    assert found["ratio"] == pytest.approx(found["learner"]["per_s"] / found["worker_examples_per_s"], abs=0.01)
    assert found["store"] == "sqlite"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--days", "20"), "20 days are too few"),
        (("--customers", "20", "--days", "120", "--rounds", "1"), "too small for every model"),
    ],
)
def test_a_shop_that_is_too_small_is_said(
    arguments: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line and a hint."""
    assert run(["bench", "scoring", *arguments], COMMANDS) == 1
    said = capsys.readouterr().err
    assert says in said
    assert "hint: " in said


def test_people_see_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    """Microseconds by batch and part, and a verdict in a sentence."""
    assert run(["bench", "scoring", *SMALL], COMMANDS) == 0
    said = capsys.readouterr().out
    assert all(part in said for part in ("batches of 500", "ensemble", "CPU µs", "µs a customer in batches of 500"))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--shops", "many"), "--shops is 'many'"),
        (("--shops", "50x4"), "--shops is '50x4'"),
        (("--shops", "200x4,300x4", "--database-urls", "postgresql://one"), "2 shops and 1 databases"),
    ],
)
def test_shops_that_are_none_are_said(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], says: str
) -> None:
    """One line and a hint, before anything is started."""
    assert run(["bench", "size", *arguments], COMMANDS) == 1
    said = capsys.readouterr().err
    assert says in said
    assert "hint: " in said
