"""All roles and the broker on one machine: started, watched, restarted and stopped."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Self

import structlog

from clv.errors import BrokerError, ConfigError, ScorerError
from storage.engine import Database
from storage.schema import upgrade
from streams.broker import EmbeddedBroker
from streams.child_process import ChildProcess
from streams.clients import bootstrap
from streams.lag import measure_lag
from streams.refill import refill
from streams.topics import ensure_topics

if TYPE_CHECKING:
    from pathlib import Path

    from clv.settings import Settings

log = structlog.get_logger(__name__)
FIRST_WAIT_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 30.0
DRAIN_SECONDS = 30.0
"""How long a stop waits for the sink to store what the workers gave out last."""
STEADY_SECONDS = 60.0
"""A role that has run this long starts again at once when it ends."""


class Role:
    """One role's process: started again when it ends, each time after a longer wait while it keeps ending soon."""

    def __init__(self, name: str, arguments: list[str], environ: dict[str, str], log_path: Path) -> None:
        self.name = name
        self._command = [sys.executable, "-m", "cli.main", *arguments]
        self._environ = environ
        self.log_path = log_path
        self._wait_seconds = FIRST_WAIT_SECONDS
        self._due_at = 0.0
        self._started_at = 0.0
        self.restarts = -1
        self.process: ChildProcess | None = None

    def look_after(self) -> None:
        """Start the process if it is not running and its wait is over."""
        now = time.monotonic()
        if self.process and self.process.is_running:
            return
        if self.process:
            steady = now - self._started_at >= STEADY_SECONDS
            self._wait_seconds = FIRST_WAIT_SECONDS if steady else min(self._wait_seconds * 2, LONGEST_WAIT_SECONDS)
            self._due_at = now + (0.0 if steady else self._wait_seconds)
            log.warning("role ended, starts again", role=self.name, log=str(self.log_path), said=self._last_line())
            self.process = None
        if now >= self._due_at:
            self.process = ChildProcess(self._command, self.log_path, environ=self._environ)
            self._started_at = now
            self.restarts += 1

    def _last_line(self) -> str:
        with contextlib.suppress(OSError):
            lines = self.log_path.read_text(encoding="utf-8", errors="replace")[-2_000:].splitlines()
            said = [line for line in lines if line.strip() and not line.startswith("hint:")]
            return said[-1] if said else ""
        return ""

    def stop(self) -> None:
        """Ask the process to drain and end."""
        if self.process:
            self.process.stop(timeout_seconds=15.0)


class Topology:
    """Every role for one data directory, running while the block is open.

    Parameters
    ----------
    settings
        Without a broker address the embedded broker is started and filled from the database.
    workers
        Worker processes; the embedded broker allows one.

    Raises
    ------
    ConfigError
        On making it: more than one worker on the embedded broker.
    BrokerError, StoreError
        On entering.
    """

    def __init__(self, settings: Settings, *, workers: int = 1) -> None:
        if workers > 1 and not settings.broker:
            raise ConfigError(
                "the embedded broker allows one worker: it cannot fence a second", "set CLV_BROKER to a Kafka"
            )
        self.settings = settings
        self.database = Database(settings.sql_url)
        self.roles: list[Role] = []
        self._broker: EmbeddedBroker | None = None
        self._workers = workers
        self._exit = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            settings = self.settings
            settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            stack.callback(self.database.close)
            if not settings.broker:
                self._broker = stack.enter_context(EmbeddedBroker(settings.data_dir))
            upgrade(settings.sql_url)
            self.settings = replace(settings, api_port=_free_port(settings.api_host, settings.api_port))
            asyncio.run(self._prepare())
            self.roles = self._make_roles()
            stack.callback(self._stop_roles)
            self.look_after()
            self._exit = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._exit.close()

    def look_after(self) -> None:
        """Start what is not running; call it every second or so.

        Raises
        ------
        BrokerError
            When the embedded broker has ended: what it held is gone.
        """
        if self._broker and not self._broker.is_running:
            raise BrokerError("the embedded broker has ended", "the same command goes on from what the database holds")
        for role in self.roles:
            role.look_after()

    @property
    def url(self) -> str:
        """Where the dashboard is, seen from this machine."""
        host = self.settings.api_host
        shown = "127.0.0.1" if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host  # noqa: S104
        return f"http://{shown}:{self.settings.api_port}/"

    def connected(self) -> Settings:
        """Return the settings with the broker's address."""
        return replace(self.settings, broker=bootstrap(self.settings))

    def _stop_roles(self) -> None:
        """Stop workers first; then let the sink store what they gave out, since an embedded broker forgets it."""
        writers = [role for role in self.roles if role.name in ("sink", "trainer")]
        for role in self.roles:
            if role not in writers:
                role.stop()
        if not self.settings.broker and all(role.process and role.process.is_running for role in writers):
            self._await_stored()
        for role in writers:
            role.stop()

    def _await_stored(self) -> None:
        deadline = time.monotonic() + DRAIN_SECONDS
        try:
            while asyncio.run(measure_lag(self.settings, self.database)).outputs and time.monotonic() < deadline:
                time.sleep(0.2)
        except ScorerError as problem:
            log.warning("could not see whether everything was stored", problem=str(problem))

    async def _prepare(self) -> None:
        await ensure_topics(self.settings)
        if not self.settings.broker:
            await refill(self.settings, self.database)

    def _make_roles(self) -> list[Role]:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("CLV_")}
        environ |= self.settings.to_env()
        logs = self.settings.data_dir / "logs"
        workers = {f"{self.settings.worker_id}-{number}": "worker" for number in range(1, self._workers + 1)}
        # The API has its metrics on its own port: last, so that it leaves no hole among the others.
        names = workers | {name: name for name in ("sink", "trainer", "ads", "api")}
        ports = _metrics_ports(self.settings.metrics_port, len(names) - 1)
        roles = []
        for (name, command), port in zip(names.items(), (*ports, 0), strict=True):
            own = {"CLV_METRICS_PORT": str(port)} | ({"CLV_WORKER_ID": name} if command == "worker" else {})
            roles.append(Role(name, [command], environ | own, logs / f"{name}.log"))
        return roles


def _metrics_ports(first: int, count: int) -> list[int]:
    """Return a port for each process from the first on; zeros where none is wanted."""
    if first and first + count > 65_536:
        raise ConfigError(f"CLV_METRICS_PORT is {first}", f"{count} processes need a port each, up to 65535")
    return list(range(first, first + count)) if first else [0] * count


def _free_port(host: str, wanted: int) -> int:
    """Return the wanted port, or another where it is taken: two runs can stand side by side."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            probe.bind((host, wanted))
            return int(probe.getsockname()[1])
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
