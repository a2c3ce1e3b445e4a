"""Following a replay through a running topology: live figures, waiting for everyone to catch up, the summary."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.live import Live

from cli.figures import live_table, run_figures, summary_lines
from cli.sending import Sending, send
from producers.orderlog import LogOptions, read_order_log
from producers.replay import ReplayOptions, parse_speed
from streams.lag import Lag, measure_lag

if TYPE_CHECKING:
    from pathlib import Path

    from cli.topology import Topology
    from clv.settings import Settings
    from producers.orderlog import OrderLog

LOOK_SECONDS = 1.0
MAX_LEAD_DAYS = 7


def log_of(
    file: Path, settings: Settings, *, mapping: dict[str, str] | None = None, limit: int | None = None
) -> OrderLog:
    """Read an order log with the settings' currency; rejects go under the data directory."""
    del limit
    rejects = settings.data_dir / "rejects" / f"{file.name}.csv"
    return read_order_log(file, LogOptions(given=mapping or {}, currency=settings.currency, rejects_path=rejects))


class Follower:
    """Sends a log in the background and shows what becomes of it.

    Parameters
    ----------
    topology
        Running.
    log
        What to replay.
    speed, limit
        As ``clv replay`` takes them.
    """

    def __init__(self, topology: Topology, log: OrderLog, *, speed: str = "max", limit: int | None = None) -> None:
        self._topology = topology
        self._log = log
        self._options = ReplayOptions(speed=parse_speed(speed), limit=limit)
        self._total = min(len(log), limit or len(log))
        self._sent = 0
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
        with Live(console=self._console, refresh_per_second=2, transient=True) as live:
            try:
                while not (is_ending and self._finished_at):
                    self._look(live)
                    time.sleep(LOOK_SECONDS)
            except KeyboardInterrupt:
                self._console.print("stopping; the same command without --exit-when-done starts afresh")

    def report(self, *, is_json: bool) -> None:
        """Print the summary."""
        figures = run_figures(self._topology.database, self._topology.settings)
        seconds = (self._finished_at or time.monotonic()) - self._started_at
        figures["seconds"] = round(seconds, 1)
        figures["events_per_second"] = round(figures["events"]["in"] / seconds, 1)
        if is_json:
            typer.echo(json.dumps(figures))
        else:
            typer.echo("\n".join(summary_lines(figures)))

    def _send(self) -> None:
        sending = Sending(
            log=self._log,
            currency=self._log.currency,
            options=self._options,
            total=self._total,
            max_lead_days=MAX_LEAD_DAYS,
        )
        try:
            send(sending, self._topology.connected(), self._observe)
        except BaseException as problem:  # noqa: BLE001 - raised again in the main thread
            self._problem = problem

    def _observe(self, sent: int, at_ms: int) -> None:
        del at_ms
        self._sent = sent

    def _look(self, live: Live) -> None:
        if self._problem:
            raise self._problem
        self._topology.look_after()
        lag = asyncio.run(measure_lag(self._topology.connected(), self._topology.database))
        figures = run_figures(self._topology.database, self._topology.settings)
        if not self._thread.is_alive() and lag.is_none and not self._finished_at:
            self._finished_at = time.monotonic()
        rate = figures["events"]["in"] / ((self._finished_at or time.monotonic()) - self._started_at)
        live.update(self._table(figures, lag, rate))

    def _table(self, figures: dict[str, object], lag: Lag, rate: float) -> object:
        return live_table(figures, sent=self._sent, total=self._total, lag=lag, rate=rate)
