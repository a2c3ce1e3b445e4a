"""What an order costs when one, two and four workers share the partitions: processor time of all, and the rate."""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, Any

import tenacity

from benchmarks.measure import Sample, medians
from benchmarks.subjects import OURS, started
from clv.errors import BrokerError

if TYPE_CHECKING:
    from collections.abc import Callable

    from clv.settings import Settings

WORKERS = (1, 2, 4)
_POLL_SECONDS = 0.1
_START_SECONDS = 90.0
_MOST_SECONDS = 60.0


def measure_scale(
    settings: Settings, *, count: int, rounds: int, observe: Callable[[str], None] = lambda _name: None
) -> dict[str, Any]:
    """Let one, two and four workers in turns carry a filled topic; return medians and growth against one.

    Notes
    -----
    Counted from when every worker has its partitions and the first offset is committed. On few cores the rate says
    little, since workers share them: the processor time an event is what scales.

    Raises
    ------
    BrokerError
        When a worker does not begin, or ends.
    """
    samples: dict[int, list[Sample]] = {number: [] for number in WORKERS}
    for turn in range(rounds):
        for number, runs in samples.items():
            runs.append(_run(settings, number, f"scale-{number}-{turn}-{os.getpid()}", count))
            observe(f"{number} workers")
    found = {number: medians(runs) for number, runs in samples.items()}
    return {
        "workers": {
            str(number): {
                "events_per_s": round(figures.per_second, 1),
                "cpu_us_per_event": round(figures.cpu_us, 2),
                "cpu_growth": round(figures.cpu_us / found[1].cpu_us - 1, 3),
                "spread": round(figures.spread, 2),
            }
            for number, figures in found.items()
        },
        "events": count,
        "rounds": rounds,
        "target_growth": 0.1,
    }


def _run(settings: Settings, number: int, group: str, count: int) -> Sample:
    with contextlib.ExitStack() as stack:
        workers = [
            stack.enter_context(started(settings, OURS, group, worker=f"{group}-{place}")) for place in range(number)
        ]

        def lag() -> int:
            """Return what is left, once all are alive."""
            for worker in workers:
                worker.check()
            return workers[0].lag(settings)

        waiting = tenacity.Retrying(
            stop=tenacity.stop_after_delay(_START_SECONDS),
            wait=tenacity.wait_fixed(_POLL_SECONDS),
            retry=tenacity.retry_if_result(lambda left: left == count),
            retry_error_callback=lambda _: count,
        )
        begun = waiting(lag)
        if begun == count:
            raise BrokerError(f"{number} workers have committed nothing within {_START_SECONDS:.0f} seconds")
        at, cpu = time.perf_counter(), sum(worker.cpu_seconds() for worker in workers)
        left, ended, spent = begun, at, cpu
        while left and time.perf_counter() - at < _MOST_SECONDS:
            time.sleep(_POLL_SECONDS)
            if (found := lag()) < left:
                left, ended = found, time.perf_counter()
                spent = sum(worker.cpu_seconds() for worker in workers)
        if left == begun:
            raise BrokerError(f"{number} workers were through before they could be measured", "give more --events")
        return Sample(ended - at, spent - cpu, begun - left)
