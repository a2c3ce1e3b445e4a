"""How many orders a second one worker carries over Apache Kafka, the whole way, beside peers that only count.

Each subject is a process that reads the same filled topic in a consumer group of its own. Its rate is taken from its
committed offsets and its own processor time, from the first commit on: what it does not commit is not done.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import tenacity

from benchmarks.measure import Sample, medians
from benchmarks.subjects import OURS, started
from clv.errors import BrokerError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.measure import Figures
    from benchmarks.subjects import Subject
    from clv.settings import Settings

MOST_SECONDS = 20.0
"""Of a run: a slow subject is judged by what it has done by then."""
_START_SECONDS = 60.0
_POLL_SECONDS = 0.1


class _Seen(NamedTuple):
    """A subject at a moment: its processor time so far, and what it has left."""

    at: float
    cpu_seconds: float
    left: int


class _Run(NamedTuple):
    """What a run took, and its second half alone: by then a virtual machine has compiled what it runs."""

    whole: Sample
    warm: Sample


def measure_throughput(
    settings: Settings,
    *,
    count: int,
    peers: Sequence[str],
    rounds: int,
    observe: Callable[[str], None] = lambda _name: None,
) -> dict[str, Any]:
    """Run ours and the peers in turns over a filled orders topic; return medians and ratios.

    Parameters
    ----------
    settings
        Names the broker, and the database that holds the published models.
    count
        Records in the orders topic.
    peers
        Some of ``benchmarks.peers.commands.PEERS``.

    Raises
    ------
    BrokerError
        When a subject does not begin, or ends, or the broker does not answer.
    """
    samples: dict[str, list[_Run]] = {name: [] for name in (OURS, *peers)}
    for number in range(rounds):
        for name, runs in samples.items():
            with started(settings, name, f"bench-{name.replace('_', '-')}-{number}-{os.getpid()}") as subject:
                runs.append(_measure(settings, subject, name, count))
            observe(name)
    found = {name: medians([run.whole for run in runs]) for name, runs in samples.items()}
    warm = {name: medians([run.warm for run in runs]) for name, runs in samples.items()}
    ours = found[OURS]
    return {
        "ours": _figures(ours, warm[OURS]),
        "peers": {name: _figures(found[name], warm[name]) for name in peers},
        "ratio": {name: round(ours.per_second / found[name].per_second, 2) for name in peers},
        "cpu_ratio": {name: round(ours.cpu_us / found[name].cpu_us, 3) for name in peers},
        "events": count,
        "rounds": rounds,
    }


def _figures(found: Figures, warm: Figures) -> dict[str, float]:
    return {
        "events_per_s": round(found.per_second, 1),
        "cpu_us_per_event": round(found.cpu_us, 2),
        "warm_events_per_s": round(warm.per_second, 1),
        "warm_cpu_us_per_event": round(warm.cpu_us, 2),
        "spread": round(found.spread, 2),
    }


def _measure(settings: Settings, subject: Subject, name: str, count: int) -> _Run:
    """Watch a subject's committed offsets from its first commit until it is through, or time is up."""
    waiting = tenacity.Retrying(
        stop=tenacity.stop_after_delay(_START_SECONDS),
        wait=tenacity.wait_fixed(_POLL_SECONDS),
        retry=tenacity.retry_if_result(lambda found: found == count),
        retry_error_callback=lambda _: count,
    )
    begun = waiting(subject.lag, settings)
    if begun == count:
        raise BrokerError(f"{name} has committed nothing within {_START_SECONDS:.0f} seconds")
    seen = [_Seen(time.perf_counter(), subject.cpu_seconds(), begun)]
    while seen[-1].left and time.perf_counter() - seen[0].at < MOST_SECONDS:
        time.sleep(_POLL_SECONDS)
        found = subject.lag(settings)
        if found < seen[-1].left:
            seen.append(_Seen(time.perf_counter(), subject.cpu_seconds(), found))
    if len(seen) == 1:
        raise BrokerError(f"{name} was through before it could be measured", "give more --events")
    halfway = (begun + seen[-1].left) / 2
    warm = next(place for place in seen if place.left <= halfway or place is seen[-2])
    return _Run(_between(seen[0], seen[-1]), _between(warm, seen[-1]))


def _between(first: _Seen, last: _Seen) -> Sample:
    return Sample(last.at - first.at, last.cpu_seconds - first.cpu_seconds, first.left - last.left)
