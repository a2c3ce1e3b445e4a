"""When a learner is refitted and when a snapshot of it is published: the trainer's and the back-test's one schedule.

Event time alone decides. Where histories and examples come from is the caller's: SQL, or states in memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec
import numpy as np
import structlog

from clv.errors import IncompatibleArtifact
from clv.events import parse_time_ms
from clv.features import FEATURE_DIGEST
from clv.rules import DAY_MS
from models.batch import MIN_EXAMPLES, ExampleArrays
from models.ensemble import Ensemble

if TYPE_CHECKING:
    from collections.abc import Iterable

    from clv.outcomes import TrainingExample
    from models.histories import Past
    from models.snapshot import ScorerSnapshot
    from models.training import Learner

log = structlog.get_logger(__name__)
NEVER_MS = -1
DRIFT_DAYS = 14
"""Event-days between refits at least, whatever drifts."""
SAMPLE_SEED = 0
"""Of the draw of examples that the ensemble is trained on."""


class TrainingData(Protocol):
    """What a refit asks for; nothing in it may be later than the moment asked about."""

    def past(self, now_ms: int) -> Past | None:
        """Return the customers as they were at a moment; None where nobody had bought."""
        ...

    def examples(self, now_ms: int) -> ExampleArrays:
        """Return a sample of at most ``models.batch.MAX_EXAMPLES`` of the examples that matured before a moment."""
        ...


class ScheduleState(msgspec.Struct):
    """Where a schedule stands; times are epoch milliseconds of event time, -1 for never.

    ``learned_count`` is how many examples the last snapshot had seen, ``drift_ms`` when the last alarm was given.
    """

    first_ms: int = NEVER_MS
    snapshot_ms: int = NEVER_MS
    refit_ms: int = NEVER_MS
    learned_count: int = 0
    drift_ms: int = NEVER_MS


def is_refit_due(state: ScheduleState, now_ms: int, *, refit_days: int) -> bool:
    """Tell whether a refit is due: so many event-days after the last one, or after the schedule's first moment.

    After an alarm ``DRIFT_DAYS`` are enough.
    """
    days = min(DRIFT_DAYS, refit_days) if state.drift_ms > state.refit_ms else refit_days
    since_ms = now_ms - max(state.refit_ms, state.first_ms)
    return state.first_ms >= 0 and since_ms >= days * DAY_MS


class Schedule:
    """A learner's work in event time: ask for ``refit``, then for ``publish``, at each moment that time has come to.

    Parameters
    ----------
    learner
        What is refitted and published; whoever owns it lets it learn what has matured before a moment is taken.
    data
        What refits are made from.
    state
        From where to go on; changes in place.
    refit_days
        Event-days between refits, unless something drifts.
    """

    def __init__(self, learner: Learner, data: TrainingData, state: ScheduleState, *, refit_days: int) -> None:
        self._learner = learner
        self._data = data
        self._state = state
        self._refit_days = refit_days
        self._fresh: tuple[Ensemble, ExampleArrays] | None = None

    def refit(self, now_ms: int, *, is_forced: bool = False) -> bytes | None:
        """Refit BTYD, the regression on it and the ensemble, if that is due; return a new ensemble's artifact, if any.

        Parameters
        ----------
        now_ms
            The moment that time has come to: the slowest watermark.
        is_forced
            Refit now, whatever the schedule says.

        Raises
        ------
        StoreUnavailable
            From the data, when a retry may help.
        """
        state = self._state
        state.first_ms = now_ms if state.first_ms < 0 else state.first_ms
        if not is_forced and not is_refit_due(state, now_ms, refit_days=self._refit_days):
            return None
        past = self._data.past(now_ms)
        state.refit_ms = now_ms
        if past is None:
            return None
        self._learner.refit_btyd(past.histories)
        self._learner.refit_glm(past.windows, now_ms)
        examples = self._data.examples(now_ms)
        if len(examples.value_minor) < MIN_EXAMPLES:
            return None
        try:
            artifact = self._learner.refit_ensemble(examples)
        except IncompatibleArtifact as problem:
            log.exception("ensemble not refitted, the one before stays", problem=str(problem))
            return None
        self._fresh = Ensemble(artifact), examples
        return artifact

    def publish(self, now_ms: int, *, is_asked: bool = False) -> ScorerSnapshot | None:
        """Return a snapshot if one is due: after a refit, and at most once an event-day when something was learned.

        After a refit of the ensemble it is also measured what the snapshot looks at.

        Parameters
        ----------
        is_asked
            Publish now, whatever the schedule says.
        """
        state = self._state
        # Noted for the next moment: whoever refits may have to wait for data, and must know that before it learns.
        state.drift_ms = self._learner.drift.alarmed_ms
        has_learned = self._learner.learned_count > state.learned_count
        is_due = state.refit_ms == now_ms or (has_learned and now_ms - state.snapshot_ms >= DAY_MS)
        if not is_due and not is_asked:
            return None
        self.note_published(now_ms)
        snapshot = self._learner.snapshot(now_ms)
        if self._fresh:
            self._learner.measure_importance(snapshot, *self._fresh)
            self._fresh = None
        return snapshot

    def note_published(self, now_ms: int) -> None:
        """Note that what has been learned so far is given out at a moment, so that it is not due again."""
        self._state.snapshot_ms = now_ms
        self._state.learned_count = self._learner.learned_count


def example_arrays(examples: Iterable[TrainingExample], *, horizon_days: int) -> ExampleArrays:
    """Return examples as arrays, in their order, without what another build or horizon has left."""
    known = [e for e in examples if e.feature_digest == FEATURE_DIGEST and e.horizon_days == horizon_days]
    return ExampleArrays(
        np.array([e.features for e in known], dtype=np.float64),
        np.array([e.value_minor for e in known], dtype=np.float64),
        np.array([parse_time_ms(e.as_of) for e in known], dtype=np.int64),
    )
