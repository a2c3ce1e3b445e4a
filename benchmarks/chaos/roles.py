"""The roles of a deployment as processes that are killed, frozen and started again."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import TYPE_CHECKING

from streams.child_process import ChildProcess

if TYPE_CHECKING:
    from pathlib import Path

    from clv.settings import Settings

RESTART_SECONDS = 1.0
"""How long a supervisor waits before it starts a role again."""


class Role:
    """One role's process, looked after by a simple supervisor.

    Parameters
    ----------
    command
        The role's command of ``clv``.
    """

    def __init__(self, name: str, command: str, settings: Settings) -> None:
        environ = {variable: text for variable, text in os.environ.items() if not variable.startswith("CLV_")}
        self.name = name
        self.log_path: Path = settings.data_dir / "logs" / f"{name}.log"
        self.exits: list[str] = []
        self._command = [sys.executable, "-c", "from cli.main import main; main()", command]
        self._environ = environ | settings.to_env()
        self._process: ChildProcess | None = None
        self._due_at = 0.0
        self.is_held = False

    @property
    def is_running(self) -> bool:
        """Whether its process lives."""
        return self._process is not None and self._process.is_running

    def look_after(self) -> None:
        """Start the process again a moment after it has ended by itself; note what it said last."""
        if self.is_held or self.is_running:
            return
        now = time.monotonic()
        if self._process is not None:
            self._process = None
            self._due_at = now + RESTART_SECONDS
            self.exits.append(self._last_line())
        if now >= self._due_at:
            self.start()

    def start(self) -> None:
        """Start the process."""
        self.is_held = False
        self._process = ChildProcess(self._command, self.log_path, environ=self._environ)

    def end(self, number: int = signal.SIGKILL) -> None:
        """End the process by a signal, and hold it down until it is started."""
        self.is_held = True
        if self._process is not None:
            self._process.stop(signal_number=number, timeout_seconds=30.0)
            self._process = None

    def send(self, number: int) -> None:
        """Send a signal, if the process lives."""
        if self._process is not None and self._process.is_running:
            os.kill(self._process.pid, number)

    def _last_line(self) -> str:
        text = self.log_path.read_text(encoding="utf-8", errors="replace")[-4_000:]
        said = [line for line in text.splitlines() if line.strip()]
        return next((line for line in reversed(said) if "stops" in line or "error" in line.lower()), "")[:300]
