"""A run without its files: a day's events in, the predictions at its end out.

What is said at a day's end cannot depend on what comes after it: the engine has not seen it yet.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np

from backtest.learning import Learning, LearningState
from backtest.moments import Calendar, CalendarState
from backtest.partition import TOPIC, MemoryPartition, Position
from clv.features import FEATURE_NAMES
from clv.outcomes import TrainingExample, WatermarkPassed
from clv.rules import Rules
from clv.segments import Policies
from clv.verdicts import Judgement
from clv.watermark import PartitionState
from producers.encode import encode_event, key_of, tick_event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from backtest.days import Day
    from backtest.learning import Published
    from backtest.moments import DueMoment
    from clv.ports import ScoreBatch
    from clv.settings import Settings
    from models.custom import CustomModel

_POLICIES = Policies()
_PARTITION = 0


class EngineState(msgspec.Struct):
    """Everything that an engine goes on from, as plain data: customers' rows, their partition's, what was learned."""

    rows: dict[str, bytes] = {}
    partition: PartitionState = msgspec.field(default_factory=lambda: PartitionState(topic_id=TOPIC))
    learning: LearningState = msgspec.field(default_factory=LearningState)
    calendar: CalendarState = msgspec.field(default_factory=CalendarState)


class DayPredictions(NamedTuple):
    """What was said at a day's end: row i of ``scores`` is of moment i.

    ``unscored`` counts moments of customers of whom the pipeline has applied no order, such as one that it refused.
    """

    moments: list[DueMoment]
    scores: ScoreBatch
    unscored: int


class Engine:
    """Runs days through the worker's pipeline and the trainer's schedule.

    Parameters
    ----------
    settings
        Currency, horizon, refit interval, lateness.
    state
        From where to go on.
    observe
        Called with each snapshot that is put in force.
    custom
        Custom models, to compete.
    """

    def __init__(
        self,
        settings: Settings,
        state: EngineState | None = None,
        observe: Callable[[Published], None] = lambda _published: None,
        custom: Sequence[CustomModel] = (),
    ) -> None:
        given = state or EngineState()
        self._rules = Rules.from_settings(settings)
        self._batch_records = settings.batch_records
        self._calendar = Calendar(given.calendar)
        self.partition = MemoryPartition(Position(given.rows, given.partition))
        self.learning = Learning(
            self.partition,
            rules=self._rules,
            refit_days=settings.refit_days,
            state=given.learning,
            observe=observe,
            custom=custom,
        )
        self.seconds = {"pipeline": 0.0, "predict": 0.0}

    def pass_day(self, day: Day) -> DayPredictions:
        """Apply a day's events, let its end pass, learn what has matured by then, and predict the day's moments."""
        started = time.perf_counter()
        # The whole day is judged by the models in force at its beginning, however it is cut into batches.
        judgement = Judgement(self.learning.scorer, _POLICIES, self._rules)
        outcomes = []
        for batch in self._batches(day):
            given_out = self.partition.feed(batch, judgement)
            outcomes += [one for one in given_out if isinstance(one, TrainingExample | WatermarkPassed)]
        self.seconds["pipeline"] += time.perf_counter() - started
        self.learning.take(outcomes)
        started = time.perf_counter()
        predictions = self._predict(day)
        self.seconds["predict"] += time.perf_counter() - started
        return predictions

    def to_state(self) -> EngineState:
        """Return what an engine goes on from; parts of it change with the next day."""
        rows, partition = self.partition.position
        return EngineState(rows, partition, self.learning.to_state(), self._calendar.state)

    def _batches(self, day: Day) -> Iterator[list[tuple[bytes | None, bytes]]]:
        currency, digits = self._rules.currency, self._rules.digits
        batch: list[tuple[bytes | None, bytes]] = []
        for event in day.events:
            batch.append((key_of(event), encode_event(event, currency=currency, digits=digits)))
            if len(batch) >= self._batch_records:
                yield batch
                batch = []
        tick = tick_event(_PARTITION, day.end_ms)
        yield [*batch, (None, encode_event(tick, currency=currency, digits=digits))]

    def _predict(self, day: Day) -> DayPredictions:
        as_of_ms = day.end_ms - 1
        due = self._calendar.moments(day)
        found = [(moment, self.partition.features(moment.customer_id, as_of_ms)) for moment in due]
        known = [(moment, features) for moment, features in found if features is not None]
        rows = np.array([features for _, features in known], dtype=np.float64).reshape(-1, len(FEATURE_NAMES))
        scores = self.learning.scorer.score(rows, np.full(len(rows), as_of_ms, dtype=np.int64))
        return DayPredictions([moment for moment, _ in known], scores, len(due) - len(known))
