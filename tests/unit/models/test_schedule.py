"""When a learner is refitted and published, wherever its data come from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from clv.errors import IncompatibleArtifact
from clv.rules import DAY_MS
from models import btyd
from models.histories import Past
from models.schedule import Schedule, ScheduleState, example_arrays, is_refit_due
from models.training import Learner
from tests.unit.models import histories as drawn
from tests.unit.models.histories import START_MS

if TYPE_CHECKING:
    from models.batch import ExampleArrays

REFIT_DAYS = 28


class Data:
    """Pasts and examples of a drawn world; notes which moments were asked about."""

    def __init__(self, *, customers: int = 150, examples: int = 0) -> None:
        self.asked: list[int] = []
        self.customers = customers
        self.count = examples

    def past(self, now_ms: int) -> Past | None:
        """Return the customers, if there are any."""
        self.asked.append(now_ms)
        if not self.customers:
            return None
        return Past(btyd.histories_of(drawn.feature_rows(self.customers)), drawn.windows(self.customers))

    def examples(self, now_ms: int) -> ExampleArrays:
        """Return so many examples."""
        self.asked.append(now_ms)
        return drawn.example_arrays(self.count)


def at_day(day: int) -> int:
    """Return a day's beginning."""
    return START_MS + day * DAY_MS


def learn(learner: Learner, count: int = 1) -> None:
    """Let the learner learn some examples."""
    for row in drawn.feature_rows(count):
        learner.learn(drawn.example(row, 100.0, clv=900.0, naive=900.0))


def test_refits_come_every_so_many_event_days_after_the_first_moment() -> None:
    """Neither at the first moment nor a day early, and exactly the data of the moment are asked for."""
    data, state = Data(), ScheduleState()
    schedule = Schedule(Learner(90), data, state, refit_days=REFIT_DAYS)
    refitted = []
    for day in range(100):
        schedule.refit(at_day(day))
        if state.refit_ms == at_day(day):
            refitted.append(day)
    assert refitted == [28, 56, 84]
    assert data.asked == [at_day(day) for day in refitted for _ in range(2)]


def test_a_forced_refit_moves_the_next_one() -> None:
    """Forced on day 10, the next is due on day 38."""
    state = ScheduleState()
    schedule = Schedule(Learner(90), Data(), state, refit_days=REFIT_DAYS)
    schedule.refit(at_day(0))
    schedule.refit(at_day(10), is_forced=True)
    assert state.refit_ms == at_day(10)
    assert [day for day in range(11, 40) if is_refit_due(state, at_day(day), refit_days=REFIT_DAYS)] == [38, 39]


def test_a_refit_is_published_at_once_and_learning_once_a_day() -> None:
    """What was learnt goes out with the next snapshot, at most one an event-day; nothing learnt, nothing out."""
    learner, state = Learner(90), ScheduleState()
    schedule = Schedule(learner, Data(), state, refit_days=REFIT_DAYS)
    schedule.refit(at_day(0))
    assert schedule.publish(at_day(0)) is None
    learn(learner)
    assert schedule.publish(at_day(1)) is not None
    learn(learner)
    assert schedule.publish(at_day(1) + DAY_MS // 2) is None
    assert schedule.publish(at_day(2)) is not None
    assert schedule.publish(at_day(3)) is None
    schedule.refit(at_day(28))
    snapshot = schedule.publish(at_day(28))
    assert snapshot is not None
    assert snapshot.btyd is not None
    assert snapshot.glm is not None
    assert snapshot.glm.btyd_version == snapshot.btyd.version
    assert snapshot.learned_through_ms == at_day(28)


def test_asked_for_a_snapshot_there_is_one() -> None:
    """New cut-offs go out with a snapshot, whatever was learnt."""
    schedule = Schedule(Learner(90), Data(), ScheduleState(), refit_days=REFIT_DAYS)
    assert schedule.publish(at_day(0), is_asked=True) is not None


def test_without_customers_or_examples_there_is_no_ensemble() -> None:
    """Nobody who bought: nothing is fitted. Too few examples: the base alone."""
    learner = Learner(90)
    assert Schedule(learner, Data(customers=0), ScheduleState(), refit_days=1).refit(at_day(0), is_forced=True) is None
    assert learner.btyd is None
    few = Schedule(learner, Data(examples=199), ScheduleState(), refit_days=1)
    assert few.refit(at_day(0), is_forced=True) is None
    assert (learner.btyd is None, learner.ensemble_digest) == (False, "")
    enough = Schedule(learner, Data(examples=400), ScheduleState(), refit_days=1)
    assert enough.refit(at_day(0), is_forced=True)
    assert learner.ensemble_digest != ""


def test_an_ensemble_that_cannot_be_exported_leaves_the_one_before() -> None:
    """The refit counts as done, the base is new, and the learner goes on."""

    class Stubborn(Learner):
        """Cannot export."""

        def refit_ensemble(self, examples: ExampleArrays, *, seed: int = 0) -> bytes:
            """Refuse."""
            raise IncompatibleArtifact("differs")

    learner, state = Stubborn(90), ScheduleState()
    schedule = Schedule(learner, Data(examples=300), state, refit_days=REFIT_DAYS)
    assert schedule.refit(at_day(0), is_forced=True) is None
    assert (learner.btyd is None, state.refit_ms) == (False, at_day(0))
    assert schedule.publish(at_day(0)) is not None


def test_with_a_refit_it_is_measured_what_its_snapshot_looks_at() -> None:
    """Once, by the snapshot that is published then; later snapshots leave it, and without an ensemble there is none."""
    learner, data = Learner(90), Data(examples=300)
    schedule = Schedule(learner, data, ScheduleState(), refit_days=REFIT_DAYS)
    schedule.refit(at_day(0), is_forced=True)
    first = schedule.publish(at_day(0))
    measured = learner.feature_importance()
    assert first is not None
    assert measured is not None
    assert (measured.version, measured.example_count) == (first.version, 300)
    learn(learner)
    assert schedule.publish(at_day(1)) is not None
    assert learner.feature_importance() is measured
    few = Learner(90)
    schedule = Schedule(few, Data(examples=199), ScheduleState(), refit_days=1)
    schedule.refit(at_day(0), is_forced=True)
    assert schedule.publish(at_day(0)) is not None
    assert few.feature_importance() is None


def test_examples_of_another_build_are_left_out() -> None:
    """Of another horizon or feature list, they are no rows; the others keep their order."""
    mine = [drawn.example(row, value) for row, value in zip(drawn.feature_rows(3), (1, 2, 3), strict=True)]
    foreign = [
        msgspec.structs.replace(mine[0], feature_digest="other", features=[1.0]),
        msgspec.structs.replace(mine[0], horizon_days=30),
    ]
    found = example_arrays([mine[0], foreign[0], mine[1], foreign[1], mine[2]], horizon_days=90)
    assert found.value_minor.tolist() == [1, 2, 3]
    assert found.features == pytest.approx(np.array([one.features for one in mine]))
    assert found.as_of_ms.tolist() == [START_MS] * 3
