"""Interleaved runs, their medians, and what they ran on.

Machines are noisy: whoever is compared runs in turns, round by round, and the median of the rounds counts. CPU time
stands beside wall time, because it does not count the time in which others had the processor.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import statistics
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_LIBRARIES = ("numpy", "scikit-learn", "river", "onnxruntime", "faust-streaming", "aiokafka", "sqlalchemy", "msgspec")


class Sample(NamedTuple):
    """One run: what it took, in seconds, and how many things it did."""

    wall_seconds: float
    cpu_seconds: float
    done: int


class Figures(NamedTuple):
    """Medians of a subject's runs; ``spread`` is the largest wall time over the smallest, a measure of the noise."""

    per_second: float
    wall_us: float
    cpu_us: float
    runs: int
    spread: float

    def as_dict(self) -> dict[str, float]:
        """Return them under names that say their units, per thing done."""
        return {
            "per_s": round(self.per_second, 1),
            "wall_us": round(self.wall_us, 3),
            "cpu_us": round(self.cpu_us, 3),
            "runs": self.runs,
            "spread": round(self.spread, 2),
        }


def interleaved(
    subjects: Mapping[str, Callable[[], int]],
    *,
    rounds: int,
    observe: Callable[[str], None] = lambda _name: None,
) -> dict[str, list[Sample]]:
    """Run all subjects in turns; return their samples by name.

    Parameters
    ----------
    subjects
        Each does its work once and returns how many things it did.
    rounds
        Runs of each.
    observe
        Called after each run with its name.
    """
    samples: dict[str, list[Sample]] = {name: [] for name in subjects}
    for _ in range(rounds):
        for name, work in subjects.items():
            wall, cpu = time.perf_counter(), time.process_time()
            count = work()
            samples[name].append(Sample(time.perf_counter() - wall, time.process_time() - cpu, count))
            observe(name)
    return samples


def medians(samples: Sequence[Sample]) -> Figures:
    """Return the medians of one subject's samples.

    Examples
    --------
    >>> medians([Sample(2.0, 1.0, 10), Sample(4.0, 1.2, 10), Sample(2.2, 0.8, 10)]).as_dict()
    {'per_s': 4.5, 'wall_us': 220000.0, 'cpu_us': 100000.0, 'runs': 3, 'spread': 2.0}
    """
    wall = [sample.wall_seconds / sample.done for sample in samples]
    cpu = [sample.cpu_seconds / sample.done for sample in samples]
    middle = statistics.median(wall)
    return Figures(1.0 / middle, 1e6 * middle, 1e6 * statistics.median(cpu), len(samples), max(wall) / min(wall))


def machine() -> dict[str, Any]:
    """Return what a measurement ran on, and how busy that was."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "libraries": {name: importlib.metadata.version(name) for name in _LIBRARIES},
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor())
