"""What the run's log says of the models."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from backtest.learning import Published
from backtest.runlog import RunLine, RunLog
from clv.rules import DAY_MS
from models.drift import Alarm
from models.snapshot import ScorerSnapshot
from models.training import Learner, LearnerState
from tests.unit.models.histories import START_MS, example, example_arrays, feature_rows
from tests.unit.models.test_scorer import snapshot

if TYPE_CHECKING:
    from models.card import Importance


def published(day: int, champion: str = "btyd", *, is_refitted: bool = False) -> Published:
    """Return a snapshot of a day."""
    return Published(ScorerSnapshot(day, START_MS + day * DAY_MS, 90, champion=champion).named(), is_refitted)


def kinds(lines: bytes) -> list[str]:
    """Return the lines' kinds; each line reads back as what the module documents."""
    return [msgspec.json.decode(line, type=RunLine).kind for line in lines.splitlines()]


def test_a_line_for_each_refit_change_of_champion_and_week() -> None:
    """The first snapshot of a week, whichever day it is; the others only when there is something to say."""
    log, learner = RunLog(digits=2), Learner(90)
    said = [
        kinds(log.lines(published(day, champion, is_refitted=day in {2, 9}), learner))
        for day, champion in [(1, "prior"), (2, "btyd"), (3, "btyd"), (9, "blend"), (10, "blend"), (21, "btyd")]
    ]
    assert said == [["week"], ["refit", "champion"], [], ["refit", "champion", "week"], [], ["champion", "week"]]
    assert log.state.champion_changes == 2


def test_a_change_says_from_what_to_what() -> None:
    """The first model to answer takes over from the prior."""
    log = RunLog(digits=2)
    line = msgspec.json.decode(log.lines(published(0), Learner(90)).splitlines()[0], type=RunLine)
    assert (line.kind, line.champion_before, line.champion) == ("champion", "prior", "btyd")


def test_errors_are_in_the_major_unit() -> None:
    """MAE of 900 cents is 9; the deviance scales with the root."""
    learner = Learner(90)
    learner.learn(example(feature_rows(1)[0], 0.0, clv=900.0, naive=900.0))
    metrics = learner.metrics()["clv"]
    (line, *_) = RunLog(digits=2).lines(published(0), learner).splitlines()
    said = msgspec.json.decode(line, type=RunLine).metrics["clv"]
    assert (said.count, said.mae, said.ratio) == (1, 9.0, 0.0)
    assert said.deviance == pytest.approx(metrics.deviance / 10)


def test_an_alarm_is_told_once() -> None:
    """In the first line after it was given, though a snapshot gives several."""
    log, learner = RunLog(digits=2), Learner(90)
    learner.drift.alarms = (Alarm("error:order", "1997-01-03T00:00:00Z", 1.0, 0.5, 500),)
    lines = log.lines(published(3, "btyd", is_refitted=True), learner) + log.lines(published(12), learner)
    told = [msgspec.json.decode(line, type=RunLine).alarms for line in lines.splitlines()]
    assert told == [learner.drift.alarms, (), (), ()]


def test_importance_stands_with_the_snapshot_that_it_was_measured_of() -> None:
    """With its refit; later snapshots, and a learner that never measured any, leave it out."""

    def importance(learner: Learner, day: int) -> Importance | None:
        (line, *_) = RunLog(digits=2).lines(published(day), learner).splitlines()
        return msgspec.json.decode(line, type=RunLine).importance

    learner, examples = Learner(90), example_arrays(200)
    assert importance(learner, 0) is None
    learner.measure_importance(snapshot(0, START_MS), None, examples)
    measured = learner.feature_importance()
    assert measured is not None
    measured = msgspec.structs.replace(measured, version=published(0).snapshot.version)
    learner = Learner(90, LearnerState(90, importance=measured))
    assert importance(learner, 0) == measured
    assert importance(learner, 1) is None
