"""A server that we start as a child: it logs to a file and never outlives us, however we die."""

from __future__ import annotations

import signal
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


class ChildProcess:
    """One child process in a session of its own, so that Ctrl-C in a terminal reaches us and not it.

    Beside the child runs a shell that waits on a pipe from us. The kernel closes the pipe when we exit in any way,
    ``kill -9`` included, and the shell then kills the child. Linux's parent-death signal was the other candidate: it
    fires when the *thread* that started the child ends, and macOS has none.

    Parameters
    ----------
    command
        Program and arguments; no shell is involved.
    log_path
        Where its output goes, appended; the folder is made.
    environ
        The child's whole environment; ours when omitted.
    user
        Name of the user to run as; ours when omitted. Needs root.
    """

    def __init__(
        self,
        command: Sequence[str],
        log_path: Path,
        *,
        environ: Mapping[str, str] | None = None,
        user: str | None = None,
    ) -> None:
        log_path.parent.mkdir(parents=True, exist_ok=True)
        with log_path.open("ab") as log:
            self._child = subprocess.Popen(  # noqa: S603  # the caller builds the command, no shell
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environ,
                user=user,
                start_new_session=True,
            )
        self._watchdog = subprocess.Popen(  # noqa: S603  # a fixed command and a number
            ["/bin/sh", "-c", 'read -r _; kill -9 "$1"', "watchdog", str(self._child.pid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=user,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """Process id of the child."""
        return self._child.pid

    @property
    def is_running(self) -> bool:
        """Whether the child lives; once it is dead, its watchdog is gone too, before the id can be another's."""
        if self._child.poll() is None:
            return True
        self._disarm()
        return False

    def stop(self, *, signal_number: int = signal.SIGTERM, timeout_seconds: float = 10.0) -> None:
        """End the child with ``signal_number``, after ``timeout_seconds`` with SIGKILL; nothing if it is dead."""
        if not self.is_running:
            return
        self._child.send_signal(signal_number)
        try:
            self._child.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._disarm()

    def _disarm(self) -> None:
        if self._watchdog.poll() is None:
            self._watchdog.kill()
        self._watchdog.wait()
        if self._watchdog.stdin is not None:
            self._watchdog.stdin.close()
