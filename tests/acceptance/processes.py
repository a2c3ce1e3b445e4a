"""The product's commands as processes that never outlive a test, and waiting for what they do."""

from __future__ import annotations

import asyncio
import contextlib
import operator
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import tenacity
from sqlalchemy import select

from clv.topics import ORDERS
from storage import tables
from storage.overview import summarise
from streams.admin import group_lag
from streams.child_process import ChildProcess
from streams.lag import measure_lag
from streams.topics import orders_group, topic_ids
from streams.trainer_store import TrainerStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cli.topology import Topology
    from clv.settings import Settings
    from storage.engine import Database

UNPACED = ("--max-lead", "0d")
"""Has a replay send all at once, without waiting for those who learn from it."""


def wait_until(condition: Callable[[], bool], *, seconds: float, what: str) -> None:
    """Ask again and again until the condition holds; fail the test, saying what was awaited, when it takes longer."""
    wait = tenacity.Retrying(
        stop=tenacity.stop_after_delay(seconds),
        wait=tenacity.wait_fixed(0.2),
        retry=tenacity.retry_if_result(operator.not_),
        retry_error_callback=lambda _: False,
    )
    assert wait(condition), f"within {seconds} seconds: {what}"


@contextlib.contextmanager
def running(settings: Settings, *arguments: str, program: str = "clv") -> Iterator[Command]:
    """Run a command of the product with these settings; what is left of it when the block ends is killed."""
    command = Command(settings, arguments, program)
    try:
        yield command
    finally:
        command.process.stop(signal_number=signal.SIGKILL)


def run(settings: Settings, *arguments: str, seconds: float) -> str:
    """Run a command to its end, which must be a good one; return what it wrote."""
    with running(settings, *arguments) as command:
        command.finish(seconds=seconds)
        return command.output


class Command:
    """A command of the product, started; made by ``running``."""

    def __init__(self, settings: Settings, arguments: tuple[str, ...], program: str) -> None:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("CLV_")}
        folder = settings.data_dir / "logs"
        self._name = " ".join([program, *arguments])
        self._log_path = folder / f"{program}-{len(list(folder.glob('*')))}.log"
        path = Path(sys.executable).parent / program
        self.process = ChildProcess([str(path), *arguments], self._log_path, environ=environ | settings.to_env())

    @property
    def output(self) -> str:
        """What it has written so far, to standard output and error."""
        return self._log_path.read_text(encoding="utf-8", errors="replace")

    def finish(self, *, seconds: float) -> None:
        """Wait for the command's end, which must be a good one."""
        wait_until(lambda: not self.process.is_running, seconds=seconds, what=f"{self._name} ends")
        assert exit_code_of(self.process) == 0, self.output[-2000:]

    def end(self, signal_number: int, *, seconds: float = 30.0) -> int | None:
        """Send a signal, wait for the end, and return the exit code."""
        self.process.stop(signal_number=signal_number, timeout_seconds=seconds)
        return exit_code_of(self.process)


def exit_code_of(process: ChildProcess) -> int | None:
    """Return how a process ended: its exit status, a signal as a negative number; None while it runs."""
    return process._child.poll()


def has_caught_up(settings: Settings, database: Database) -> bool:
    """Tell whether everyone has caught up with all that was sent, and what the trainer announces is stored.

    It announces after it has saved how far it has learned: between the two nobody lags behind.
    """
    return asyncio.run(measure_lag(settings, database)).is_none and _is_announced(settings, database)


def _is_announced(settings: Settings, database: Database) -> bool:
    kept = TrainerStore(settings, database)
    kept.load()
    with database.reading() as connection:
        stored = {
            event_id
            for table in (tables.models, tables.budget_signals)
            for event_id in connection.execute(select(table.c.event_id)).scalars()
        }
    return {event.event_id for event in kept.state().outbox} <= stored


def is_caught_up(topology: Topology) -> bool:
    """Look after the roles, and tell whether everyone has caught up with all that was sent."""
    topology.look_after()
    return has_caught_up(topology.connected(), topology.database)


def has_learned(topology: Topology, settings: Settings) -> bool:
    """Tell whether the trainer, too, has come as far as event time, and what it announced is stored."""
    kept = TrainerStore(settings, topology.database)
    kept.load()
    return kept.state().through_ms >= summarise(topology.database).watermark_ms and is_caught_up(topology)


def worker_lag(settings: Settings) -> int:
    """Return how many records of the orders topic the workers have not acknowledged."""
    orders_id = asyncio.run(topic_ids(settings))[ORDERS]
    return sum(group_lag(settings, group=orders_group(settings, orders_id), topic=ORDERS).values())


def applied(database: Database) -> int:
    """Return how many events the workers have applied, as far as SQL shows it."""
    return summarise(database).counts.get("applied", 0)
