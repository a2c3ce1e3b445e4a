"""The trainer's work inside the back-test: learns what has matured, refits on schedule, puts snapshots in force."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

from backtest.reservoir import Reservoir
from clv.events import parse_time_ms
from clv.outcomes import TrainingExample, WatermarkPassed
from clv.rules import DAY_MS
from models.challengers import Challengers
from models.ensemble import Ensemble
from models.maturity import in_order
from models.schedule import Schedule, ScheduleState, example_arrays
from models.scorer import SnapshotScorer
from models.snapshot import ScorerSnapshot
from models.training import Learner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from backtest.partition import MemoryPartition
    from clv.outcomes import Outcome
    from clv.rules import Rules
    from models.batch import ExampleArrays
    from models.custom import CustomModel
    from models.histories import Past


class LearningState(msgspec.Struct):
    """All that learning goes on from, as plain data.

    ``learner`` and ``snapshots`` are what these write of themselves, ``ensembles`` the artifacts that they refer
    to. ``held`` has been given out and not been learned yet, ``sample`` is the reservoir.
    """

    learner: bytes = b""
    schedule: ScheduleState = msgspec.field(default_factory=ScheduleState)
    through_ms: int = -1
    held: list[TrainingExample] = []
    sample: list[TrainingExample] = []
    snapshots: list[bytes] = []
    ensembles: list[bytes] = []


class Published(msgspec.Struct, frozen=True):
    """A snapshot that was just put in force, and whether a refit went before it."""

    snapshot: ScorerSnapshot
    is_refitted: bool


class Learning:
    """Takes the pipeline's outcomes and answers with a scorer, as trainer and ``clv.models.v1`` do for a worker.

    Parameters
    ----------
    partition
        Whose states the base is fitted to.
    rules, refit_days
        As in the settings.
    state
        From where to go on.
    observe
        Called with each snapshot that is published.
    custom
        Custom models, to compete.

    Notes
    -----
    ``seconds`` of processing time go to ``learn``, ``gather`` (histories and sample), ``refit`` (the models' own) and
    ``publish``.
    """

    def __init__(
        self,
        partition: MemoryPartition,
        *,
        rules: Rules,
        refit_days: int,
        state: LearningState | None = None,
        observe: Callable[[Published], None] = lambda _published: None,
        custom: Sequence[CustomModel] = (),
    ) -> None:
        given = state or LearningState()
        self._partition = partition
        self._rules = rules
        horizon_days = rules.horizon_days
        self._observe = observe
        self._held = list(given.held)
        self._reservoir = Reservoir(given.sample)
        self._through_ms = given.through_ms
        self._state = given.schedule
        self._ensembles = {one.digest: (one, blob) for blob in given.ensembles for one in (Ensemble(blob),)}
        challengers = Challengers(custom, lambda digest: self._ensembles[digest][1])
        self.learner = (
            Learner.from_state(given.learner, horizon_days=horizon_days, challengers=challengers)
            if given.learner
            else Learner(horizon_days, challengers=challengers)
        )
        self.scorer = SnapshotScorer(
            horizon_days,
            snapshots=[ScorerSnapshot.from_bytes(one) for one in given.snapshots],
            ensembles=[ensemble for ensemble, _ in self._ensembles.values()],
        )
        self._schedule = Schedule(self.learner, self, self._state, refit_days=refit_days)
        self.seconds: dict[str, float] = {"learn": 0.0, "gather": 0.0, "refit": 0.0, "publish": 0.0}

    def take(self, outcomes: Iterable[Outcome]) -> None:
        """Learn what the outcomes say has matured, as soon as the watermark has come into another day."""
        for outcome in outcomes:
            if isinstance(outcome, TrainingExample):
                self._held.append(outcome)
            elif isinstance(outcome, WatermarkPassed):
                watermark_ms = parse_time_ms(outcome.watermark_at)
                if watermark_ms // DAY_MS > self._through_ms // DAY_MS:
                    self._step(watermark_ms)

    def past(self, now_ms: int) -> Past | None:
        """Return the customers as they were at a moment (``models.schedule.TrainingData``)."""
        started = time.perf_counter()
        found = self._partition.past(now_ms, self._rules)
        self.seconds["gather"] += time.perf_counter() - started
        return found

    def examples(self, now_ms: int) -> ExampleArrays:
        """Return a sample of what has matured, all of it before a moment (``models.schedule.TrainingData``)."""
        del now_ms  # the reservoir holds what was learned, and that had matured before
        started = time.perf_counter()
        found = example_arrays(self._reservoir.examples(), horizon_days=self._rules.horizon_days)
        self.seconds["gather"] += time.perf_counter() - started
        return found

    def to_state(self) -> LearningState:
        """Return what ``Learning`` goes on from."""
        return LearningState(
            learner=self.learner.to_state(),
            schedule=self._state,
            through_ms=self._through_ms,
            held=self._held,
            sample=self._reservoir.examples(),
            snapshots=[snapshot.to_bytes() for snapshot in self.scorer.snapshots],
            ensembles=[blob for _, blob in self._ensembles.values()],
        )

    def _step(self, now_ms: int) -> None:
        started, gathered = time.perf_counter(), self.seconds["gather"]
        for example in self._release(now_ms):
            self.learner.learn(example)
            self._reservoir.add(example)
        learned = time.perf_counter()
        blob = self._schedule.refit(now_ms)
        if blob:
            ensemble = Ensemble(blob)
            self._ensembles[ensemble.digest] = (ensemble, blob)
        refitted = time.perf_counter()
        self._publish(now_ms)
        self._through_ms = now_ms
        self.seconds["learn"] += learned - started
        self.seconds["refit"] += refitted - learned - (self.seconds["gather"] - gathered)
        self.seconds["publish"] += time.perf_counter() - refitted

    def _release(self, now_ms: int) -> list[TrainingExample]:
        """Return what matured before a moment, in the order of learning; keep the rest."""
        ready: list[TrainingExample] = []
        rest: list[TrainingExample] = []
        for example in self._held:
            (ready if parse_time_ms(example.matured_at) < now_ms else rest).append(example)
        self._held = rest
        return in_order(ready)

    def _publish(self, now_ms: int) -> None:
        snapshot = self._schedule.publish(now_ms)
        if snapshot is None:
            return
        ensemble = self._ensembles.get(snapshot.ensemble_digest)
        self.scorer = self.scorer.add(snapshot, ensemble[0] if ensemble else None)
        needed = {held.ensemble_digest for held in self.scorer.snapshots} | {fit.digest for fit in self.learner.fits}
        self._ensembles = {digest: held for digest, held in self._ensembles.items() if digest in needed}
        self._observe(Published(snapshot, is_refitted=self._state.refit_ms == now_ms))
