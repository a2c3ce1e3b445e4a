"""How many orders a second one worker carries over Apache Kafka, the whole way, beside peers that only count.

Each subject is a process that reads the same filled topic in a consumer group of its own. Its rate is taken from its
committed offsets and its own processor time, from the first commit on: what it does not commit is not done.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import tenacity

from benchmarks.load import make_topics
from benchmarks.measure import Sample, medians
from benchmarks.peers.job import OUTPUT_TOPIC
from clv.errors import BrokerError
from clv.topics import ORDERS
from streams.admin import group_lag
from streams.child_process import ChildProcess
from streams.topics import ensure_topics, orders_group

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from clv.settings import Settings

OURS = "ours"
PEERS = {"stock_faust": "stock_faust", "per_record_loop": "per_record_loop"}
"""Names in the report, and their modules in ``benchmarks.peers``."""
MOST_SECONDS = 20.0
"""Of a run: a slow subject is judged by what it has done by then."""
_START_SECONDS = 60.0
_POLL_SECONDS = 0.1
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


class _Subject(NamedTuple):
    """A process that is measured, and the group in which it reads."""

    process: ChildProcess
    group: str


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
        Some of ``PEERS``.

    Raises
    ------
    BrokerError
        When a subject does not begin, or ends, or the broker does not answer.
    """
    samples: dict[str, list[Sample]] = {name: [] for name in (OURS, *peers)}
    for number in range(rounds):
        for name, runs in samples.items():
            with _started(settings, name, f"bench-{name.replace('_', '-')}-{number}-{os.getpid()}") as subject:
                runs.append(_measure(settings, subject, name, count))
            observe(name)
    found = {name: medians(runs) for name, runs in samples.items()}
    ours = found[OURS]
    return {
        "ours": _figures(ours),
        "peers": {name: _figures(found[name]) for name in peers},
        "ratio": {name: round(ours.per_second / found[name].per_second, 2) for name in peers},
        "cpu_ratio": {name: round(ours.cpu_us / found[name].cpu_us, 3) for name in peers},
        "events": count,
        "rounds": rounds,
    }


def _figures(found: Any) -> dict[str, float]:
    return {
        "events_per_s": round(found.per_second, 1),
        "cpu_us_per_event": round(found.cpu_us, 2),
        "spread": round(found.spread, 2),
    }


@contextlib.contextmanager
def _started(settings: Settings, name: str, group: str) -> Iterator[_Subject]:
    """Start a subject, and end it with the block."""
    outside = {variable: text for variable, text in os.environ.items() if not variable.startswith("CLV_")}
    if name == OURS:
        own = replace(settings, group=group, worker_id=group)
        read_as = orders_group(own, asyncio.run(ensure_topics(own))[ORDERS])
        command = [sys.executable, "-c", "from cli.main import main; main()", "worker"]
        environ = outside | own.to_env()
    else:
        read_as = group
        make_topics(settings, [OUTPUT_TOPIC, f"{group}-changelog"])
        command = [sys.executable, "-m", f"benchmarks.peers.{PEERS[name]}"]
        environ = outside | {"PEER_BROKER": settings.broker, "PEER_TOPIC": ORDERS, "PEER_GROUP": group}
    process = ChildProcess(command, settings.data_dir / "logs" / f"{group}.log", environ=environ)
    try:
        yield _Subject(process, read_as)
    finally:
        process.stop(signal_number=signal.SIGKILL)


def _measure(settings: Settings, subject: _Subject, name: str, count: int) -> Sample:
    """Watch a subject's committed offsets from its first commit until it is through, or time is up."""

    def lag() -> int:
        if not subject.process.is_running:
            raise BrokerError(f"{name} ended while it was measured", f"its log: {settings.data_dir / 'logs'}")
        return sum(group_lag(settings, group=subject.group, topic=ORDERS).values())

    waiting = tenacity.Retrying(
        stop=tenacity.stop_after_delay(_START_SECONDS),
        wait=tenacity.wait_fixed(_POLL_SECONDS),
        retry=tenacity.retry_if_result(lambda found: found == count),
        retry_error_callback=lambda _: count,
    )
    begun = waiting(lag)
    if begun == count:
        raise BrokerError(f"{name} has committed nothing within {_START_SECONDS:.0f} seconds")
    started, cpu = time.perf_counter(), _cpu_seconds(subject.process.pid)
    left, ended, spent = begun, started, cpu
    while left and time.perf_counter() - started < MOST_SECONDS:
        time.sleep(_POLL_SECONDS)
        found = lag()
        if found < left:
            left, ended, spent = found, time.perf_counter(), _cpu_seconds(subject.process.pid)
    if left == begun:
        raise BrokerError(f"{name} was through before it could be measured", "give more --events")
    return Sample(ended - started, spent - cpu, begun - left)


def _cpu_seconds(pid: int) -> float:
    """Return a process's user and system time, all threads."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_A_SECOND
