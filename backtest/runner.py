"""One run with its files: predictions and run log grow day by day, a checkpoint says where to go on."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from backtest import checkpoint
from backtest.checkpoint import Checkpoint, Counts
from backtest.days import days_of
from backtest.engine import Engine
from backtest.output import GrowingFile, has_length
from backtest.predictions import PredictionWriter
from backtest.report.labels import net_days_of
from backtest.report.measures import by_kind, coverage
from backtest.report.scored import read_predictions, score_moments
from backtest.runlog import Figures, RunEnd, RunLog, RunStart, encode_line
from clv.errors import InputError
from clv.outcomes import rfc3339
from clv.rules import DAY_MS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from backtest.days import Day
    from backtest.learning import Published
    from backtest.report.scored import Scored
    from clv.events import CustomerEvent
    from clv.ports import Floats
    from clv.settings import Settings
    from models.custom import CustomModel

SAVE_DAYS = 28


class BacktestLog(Protocol):
    """A log that can be gone through again and again, in event-time order, with the same events each time."""

    @property
    def key(self) -> str:
        """Identifies the log and how it was read."""
        ...

    @property
    def digits(self) -> int:
        """Decimals of the currency."""
        ...

    def __iter__(self) -> Iterator[CustomerEvent]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class BacktestOptions:
    """How to run a back-test.

    Parameters
    ----------
    settings
        Currency of the log, horizon, refit interval, lateness; the rest plays no part.
    out
        Where the predictions go; run log and checkpoint lie beside it.
    is_restarted
        Forget what an interrupted run has left.
    save_days
        Event-days between checkpoints.
    observe
        Called at each day's end with the number of events so far and the event time in milliseconds.
    is_stopping
        Asked at each day's end whether to save and stop.
    custom
        Custom models, to compete.
    """

    settings: Settings
    out: Path
    is_restarted: bool = False
    save_days: int = SAVE_DAYS
    observe: Callable[[int, int], None] = lambda _events, _at_ms: None
    is_stopping: Callable[[], bool] = lambda: False
    custom: Sequence[CustomModel] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BacktestResult:
    """What a run came to; without ``end`` it was interrupted.

    ``moments`` and ``seconds`` (in all, and by part) are of this process, ``counts`` of the whole run. ``resumed_from``
    is the first day of this process, empty where it is the log's.
    """

    end: RunEnd | None
    moments: int
    counts: Counts
    resumed_from: str
    seconds: dict[str, float]


def run_log_path(out: Path) -> Path:
    """Return where a run's log lies, given where its predictions do."""
    return out.with_name(f"{out.name.removesuffix('.csv')}.run.jsonl")


def checkpoint_path(out: Path) -> Path:
    """Return where an interrupted run's checkpoint lies, given where its predictions do."""
    return out.with_name(f"{out.name}.checkpoint")


def run_backtest(log: BacktestLog, options: BacktestOptions) -> BacktestResult:
    """Run to the end of the log, or to where ``is_stopping`` says so; the same run then goes on from there.

    Raises
    ------
    InputError
        When the files cannot be written.
    """
    started = time.perf_counter()
    run = _Run(log, options)
    try:
        end = run.finish() if run.pass_days() else None
    finally:
        run.close()
    parts = {**run.engine.seconds, **run.engine.learning.seconds, **run.seconds}
    return BacktestResult(
        end=end,
        moments=run.counts.moments - run.moments_before,
        counts=run.counts,
        resumed_from=run.resumed_from,
        seconds={"total": time.perf_counter() - started, **parts},
    )


class _Run:
    """A run under way: everything that a checkpoint holds, alive."""

    def __init__(self, log: BacktestLog, options: BacktestOptions) -> None:
        self._log = log
        self._options = options
        self._settings = settings = options.settings
        custom = options.custom
        self._key = checkpoint.run_key(log.key, settings, [f"{one.name} {one.distribution}" for one in custom])
        found = self._found()
        self.counts = found.counts if found else Counts()
        self.moments_before = self.counts.moments
        self.resumed_from = _date(self.counts.day + 1) if found else ""
        self.seconds = {"save": 0.0, "evaluate": 0.0}
        self.engine = Engine(settings, found.engine if found else None, observe=self._note, custom=custom)
        self._run_log = RunLog(digits=log.digits, state=found.run_log if found else None)
        names = [one.name for one in custom]
        self._writer = PredictionWriter(self.engine.learning.scorer, digits=log.digits, custom=names)
        self._predictions = GrowingFile(options.out, length=found.predictions_bytes if found else 0)
        self._lines = GrowingFile(run_log_path(options.out), length=found.run_log_bytes if found else 0)
        if not found:
            self._begin()

    def pass_days(self) -> bool:
        """Pass the days that have not been passed yet; return False where the run is to stop before the end."""
        saved_day = self.counts.day
        for day in days_of(self._log):
            if day.number <= self.counts.day:
                continue
            self._pass(day)
            self._options.observe(self.counts.events, day.end_ms)
            is_stopping = self._options.is_stopping()
            if is_stopping or (saved_day >= 0 and day.number - saved_day >= self._options.save_days):
                self._save()
                saved_day = day.number
            saved_day = day.number if saved_day < 0 else saved_day
            if is_stopping:
                return False
        return True

    def finish(self) -> RunEnd:
        """Evaluate the predictions, write the log's last line, and put the files in their places."""
        self._predictions.sync()
        started = time.perf_counter()
        counts = self.counts
        found = self._scored()
        self.seconds["evaluate"] += time.perf_counter() - started
        end = RunEnd(
            moments=counts.moments,
            unscored=counts.unscored,
            customers=len(self.engine.partition),
            events=counts.events,
            first_day=_date(counts.first_day),
            last_day=_date(counts.day),
            days=counts.day - counts.first_day + 1 if counts.day >= 0 else 0,
            champion_changes=self._run_log.state.champion_changes,
            scored_from=_date(found.first_day) if found else "",
            scored_to=_date(found.last_day) if found else "",
            scored={name: _figures(found, values) for name, values in found.series.items()} if found else {},
            coverage=held["coverage"] if found and (held := coverage(found)) else None,
        )
        self._lines.append(encode_line(end))
        self._lines.sync()
        self._lines.finish()
        self._predictions.finish()
        checkpoint.forget(checkpoint_path(self._options.out))
        return end

    def _scored(self) -> Scored | None:
        """Return what came of the predictions; None where the log is too short for any to have come true."""
        net = net_days_of(self._log, currency=self._settings.currency).until(self.counts.day)
        given = read_predictions(self._predictions.part)
        if not len(net.day):
            return None
        try:
            return score_moments(net, given, self._settings.horizon_days)
        except InputError:  # no moment can be scored
            return None

    def close(self) -> None:
        """Let go of the files."""
        self._predictions.close()
        self._lines.close()

    def _found(self) -> Checkpoint | None:
        """Return where an interrupted run of this kind has come to, if its files are there."""
        out = self._options.out
        path = checkpoint_path(out)
        if self._options.is_restarted:
            checkpoint.forget(path)
            return None
        found = checkpoint.load(path, self._key)
        is_whole = (
            found and has_length(out, found.predictions_bytes) and has_length(run_log_path(out), found.run_log_bytes)
        )
        return found if is_whole else None

    def _begin(self) -> None:
        settings = self._settings
        start = RunStart(
            log_key=self._log.key,
            currency=settings.currency,
            horizon_days=settings.horizon_days,
            refit_days=settings.refit_days,
            columns=self._writer.columns,
        )
        self._predictions.append(self._writer.header())
        self._lines.append(encode_line(start))

    def _pass(self, day: Day) -> None:
        said = self.engine.pass_day(day)
        if said.moments:
            self._predictions.append(self._writer.rows(said.moments, day.number, said.scores))
        counts = self.counts
        counts.first_day = day.number if counts.first_day < 0 else counts.first_day
        counts.day = day.number
        counts.events += len(day.events)
        counts.moments += len(said.moments)
        counts.unscored += said.unscored

    def _note(self, published: Published) -> None:
        self._lines.append(self._run_log.lines(published, self.engine.learning.learner))

    def _save(self) -> None:
        started = time.perf_counter()
        now = Checkpoint(
            key=self._key,
            predictions_bytes=self._predictions.sync(),
            run_log_bytes=self._lines.sync(),
            engine=self.engine.to_state(),
            run_log=self._run_log.state,
            counts=self.counts,
        )
        checkpoint.save(checkpoint_path(self._options.out), now)
        self.seconds["save"] += time.perf_counter() - started


def _figures(scored: Scored, predicted: Floats) -> dict[str, Figures]:
    return {
        kind: Figures(found["n"], found["deviance"], found["mae"], found["ratio"] or 0.0)
        for kind, found in by_kind(scored, predicted).items()
    }


def _date(day: int) -> str:
    return rfc3339(day * DAY_MS)[:10] if day >= 0 else ""
