"""Runs in turns, medians, and what they ran on."""

from __future__ import annotations

import pytest

from benchmarks.measure import Sample, interleaved, machine, medians


def test_subjects_run_in_turns() -> None:
    """Round by round, each once, so that a noisy minute hits all alike."""
    seen: list[str] = []

    def work(name: str) -> int:
        seen.append(name)
        return 7

    found = interleaved({"a": lambda: work("a"), "b": lambda: work("b")}, rounds=3, observe=seen.append)
    assert seen == ["a", "a", "b", "b"] * 3
    assert {name: [sample.done for sample in samples] for name, samples in found.items()} == {
        "a": [7] * 3,
        "b": [7] * 3,
    }


def test_the_median_counts() -> None:
    """One slow run changes nothing; counts may differ from run to run."""
    figures = medians([Sample(1.0, 0.5, 10), Sample(90.0, 0.5, 10), Sample(2.2, 1.1, 20)])
    assert (figures.per_second, figures.wall_us, figures.cpu_us) == pytest.approx((1 / 0.11, 110_000.0, 50_000.0))
    assert (figures.runs, figures.spread) == (3, 90.0)


def test_the_machine_is_described() -> None:
    """A figure without its machine means nothing."""
    found = machine()
    assert found["cores"] >= 1
    assert len(found["load_average"]) == 3
    assert {"numpy", "river", "onnxruntime"} <= set(found["libraries"])
