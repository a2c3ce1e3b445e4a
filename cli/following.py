"""Following a replay through a running topology: live figures, waiting for everyone to catch up, the summary."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.live import Live

from cli.audiences import audience_figures
from cli.figures import live_table, run_figures, summary_lines
from cli.sending import send
from streams.lag import Lag, measure_lag

if TYPE_CHECKING:
    from cli.sending import Sending
    from cli.topology import Topology

LOOK_SECONDS = 1.0
LAG_SECONDS = 5.0
"""How often the lag is measured while there is still something to send: it asks broker and database."""
STOP_SECONDS = 15.0
TELL_SECONDS = 10.0


class Follower:
    """Shows what a running topology does, and sends a log to it in the background if there is one.

    Parameters
    ----------
    topology
        Running.
    sending
        What to replay and how; None just to watch.
    """

    def __init__(self, topology: Topology, sending: Sending | None = None) -> None:
        self._topology = topology
        self._sending = sending
        self._sent = 0
        self._is_stopping = False
        self._lag: Lag | None = None
        self._measured_at = 0.0
        self._told_at = 0.0
        self._problem: BaseException | None = None
        self._started_at = time.monotonic()
        self._finished_at = 0.0
        self._console = Console(stderr=True)
        self._thread = threading.Thread(target=self._send, name="replay", daemon=True)

    def run(self, *, is_ending: bool) -> None:
        """Show progress until everyone has caught up, or with ``is_ending`` unset until Ctrl-C.

        Raises
        ------
        ScorerError
            When the replay failed.
        """
        self._thread.start()
        self._console.print(f"dashboard: {self._topology.url}")
        with Live(console=self._console, refresh_per_second=2, transient=True) as live:
            try:
                while not (is_ending and self._finished_at):
                    self._look(live)
                    time.sleep(LOOK_SECONDS)
            except KeyboardInterrupt:
                self._console.print("stopping: what is under way is finished and stored")
        self._is_stopping = True
        self._thread.join(STOP_SECONDS)

    def report(self, *, is_json: bool) -> None:
        """Print the summary."""
        figures = run_figures(self._topology.database, self._topology.settings)
        seconds = (self._finished_at or time.monotonic()) - self._started_at
        figures["audiences"] = audience_figures(self._topology.database, self._topology.connected())
        figures["seconds"] = round(seconds, 1)
        figures["events_per_second"] = round(figures["events"]["in"] / seconds, 1)
        if is_json:
            typer.echo(json.dumps(figures))
        else:
            typer.echo("\n".join(summary_lines(figures)))

    def _send(self) -> None:
        if self._sending is None:
            return
        try:
            send(self._sending, self._topology.connected(), self._observe)
        except BaseException as problem:  # noqa: BLE001 - raised again in the main thread
            self._problem = problem

    def _observe(self, sent: int, at_ms: int) -> None:
        del at_ms
        self._sent = sent
        if self._is_stopping:
            # What Ctrl-C does to a replay in the foreground: it flushes and remembers its place.
            raise KeyboardInterrupt

    def _tell(self, figures: dict[str, Any]) -> None:
        """Where nothing can be drawn, write a line now and then."""
        now = time.monotonic()
        if now - self._told_at < TELL_SECONDS and not self._finished_at:
            return
        self._told_at = now
        state = "caught up" if self._finished_at else "running"
        applied, customers = figures["events"]["applied"], figures["customers"]
        day = figures["event_time"][:10] or "-"
        self._console.print(f"{state}: {self._sent:,} sent, {applied:,} applied, {customers:,} customers, {day}")

    def _look(self, live: Live) -> None:
        if self._problem:
            raise self._problem
        self._topology.look_after()
        now = time.monotonic()
        if not self._thread.is_alive() or now - self._measured_at >= LAG_SECONDS:
            self._lag = asyncio.run(measure_lag(self._topology.connected(), self._topology.database))
            self._measured_at = now
            if not self._thread.is_alive() and self._lag.is_none and not self._finished_at:
                self._finished_at = time.monotonic()
        figures = run_figures(self._topology.database, self._topology.settings)
        rate = figures["events"]["in"] / ((self._finished_at or time.monotonic()) - self._started_at)
        total = self._sending.total if self._sending else None
        if not self._console.is_terminal:
            self._tell(figures)
        figures["dashboard"] = self._topology.url
        live.update(live_table(figures, sent=self._sent, total=total, lag=self._lag, rate=rate))
