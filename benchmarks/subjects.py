"""Processes that are measured: our worker or a peer, in a consumer group of its own, and what they have used."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.load import make_topics
from benchmarks.peers.commands import command, environment
from benchmarks.peers.job import OUTPUT_TOPIC
from clv.errors import BrokerError
from clv.topics import ORDERS
from streams.admin import group_lag
from streams.child_process import ChildProcess
from streams.topics import ensure_topics, orders_group

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clv.settings import Settings

OURS = "ours"
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


class Subject(NamedTuple):
    """A process that is measured, the group in which it reads, and where it writes its log."""

    name: str
    process: ChildProcess
    group: str
    log: Path

    def cpu_seconds(self) -> float:
        """Return the process's user and system time, all threads."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_A_SECOND

    def resident_bytes(self) -> int:
        """Return what the process holds in memory."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS"))

    def lag(self, settings: Settings) -> int:
        """Return how many orders the subject's group has not committed.

        Raises
        ------
        BrokerError
            When the process has ended.
        """
        self.check()
        return sum(group_lag(settings, group=self.group, topic=ORDERS).values())

    def check(self) -> None:
        """Raise ``BrokerError`` when the process has ended."""
        if not self.process.is_running:
            raise BrokerError(f"{self.name} ended while it was measured", f"its log: {self.log}")


@contextlib.contextmanager
def started(
    settings: Settings, name: str, group: str, *, worker: str = "", is_killed: bool = True
) -> Iterator[Subject]:
    """Start a subject, and end it with the block.

    Parameters
    ----------
    name
        ``ours``, or a peer's (``benchmarks.peers.commands.PEERS``).
    group
        Prefix of its consumer group; ours with the same group share the partitions.
    worker
        Our worker's name, and so its local store; the group's if left out.
    is_killed
        Whether it is ended by ``kill -9``, or may leave its group.
    """
    outside = {variable: text for variable, text in os.environ.items() if not variable.startswith("CLV_")}
    if name == OURS:
        own = replace(settings, group=group, worker_id=worker or group)
        read_as = orders_group(own, asyncio.run(ensure_topics(own))[ORDERS])
        program = [sys.executable, "-c", "from cli.main import main; main()", "worker"]
        environ = outside | own.to_env()
    else:
        read_as = group
        make_topics(settings, [OUTPUT_TOPIC, f"{group}-changelog"])
        program = command(name)
        environ = outside | environment(settings.broker, ORDERS, group)
    log = settings.data_dir / "logs" / f"{worker or group}.log"
    process = ChildProcess(program, log, environ=environ)
    try:
        yield Subject(name, process, read_as, log)
    finally:
        process.stop(signal_number=signal.SIGKILL if is_killed else signal.SIGTERM)
