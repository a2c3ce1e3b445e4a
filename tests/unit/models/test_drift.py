"""Drift is found where there is some, soon enough, and hardly ever where there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec
import numpy as np
import pytest

from clv.features import FEATURE_INDEX
from clv.rules import DAY_MS
from models.drift import BLOCK, KEPT_ALARMS, Alarm, DriftState
from models.schedule import DRIFT_DAYS, Schedule, ScheduleState
from models.training import Learner
from tests.unit.models.histories import START_MS, example, feature_rows
from tests.unit.models.test_schedule import REFIT_DAYS, Data

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clv.outcomes import TrainingExample

Moment = Literal["order", "silence"]


def examples(
    count: int,
    *,
    seed: int = 0,
    day: int = 0,
    moment: Moment = "order",
    rate: float = 1.0,
    value: float = 1.0,
    repeats: float = 0.7,
) -> Iterator[TrainingExample]:
    """Yield examples of a shop in which one customer in five buys, and a fifth of an order was predicted of each.

    ``rate`` multiplies how many really buy, ``value`` what orders are worth, ``repeats`` is the share of old customers.
    """
    rng = np.random.default_rng(seed)
    row = feature_rows(1)[0]
    for place in range(count):
        order = 4_000.0 * rng.lognormal(0.0, 0.8)
        row[FEATURE_INDEX["last_purchase_value_minor"]] = order * value
        row[FEATURE_INDEX["repeat_purchase_count"]] = float(rng.random() < repeats)
        came = order * rng.lognormal(0.0, 0.5) / np.exp(0.125) if rng.random() < 0.2 * rate else 0.0
        given = example(row, came, day=day + place // BLOCK, clv=0.2 * order)
        yield msgspec.structs.replace(given, moment=moment)


def alarms(state: DriftState, given: Iterator[TrainingExample]) -> list[Alarm]:
    """Return what a state has to say of examples."""
    return [alarm for one in given for alarm in state.update(one)]


@pytest.mark.parametrize("moment", ["order", "silence"])
def test_a_steady_shop_sets_off_nothing(moment: Moment) -> None:
    """A hundred blocks of right predictions, whose values are as heavy-tailed as real ones."""
    assert alarms(DriftState(), examples(100 * BLOCK, moment=moment)) == []


@pytest.mark.parametrize("moment", ["order", "silence"])
@pytest.mark.parametrize(("rate", "after"), [(0.5, 0.5), (2.0, 2.0)])
def test_rates_that_change_are_noticed(moment: Moment, rate: float, after: float) -> None:
    """Half or twice as many buy as before: within twelve blocks the error's detector says what came of predictions."""
    state = DriftState()
    assert alarms(state, examples(20 * BLOCK, moment=moment)) == []
    found = alarms(state, examples(12 * BLOCK, seed=1, day=20, moment=moment, rate=rate))
    assert {alarm.detector for alarm in found} == {f"error:{moment}"}
    assert found[0].before == 1.0
    assert found[0].after == pytest.approx(after, rel=0.35)


def test_orders_of_another_size_are_noticed() -> None:
    """Orders twice as large, as well predicted: the input's detector alone fires, within eight blocks."""
    state = DriftState()
    alarms(state, examples(20 * BLOCK))
    found = alarms(state, examples(8 * BLOCK, seed=1, day=20, value=2.0))
    assert [alarm.detector for alarm in found] == ["input:order_value"]
    assert found[0].after - found[0].before == pytest.approx(np.log(2.0), abs=0.1)


def test_another_mix_of_customers_is_noticed() -> None:
    """Twice as many newcomers."""
    state = DriftState()
    alarms(state, examples(20 * BLOCK))
    found = alarms(state, examples(8 * BLOCK, seed=1, day=20, repeats=0.4))
    assert [alarm.detector for alarm in found] == ["input:new_customers"]


def test_a_small_change_is_tolerated() -> None:
    """Three customers in a hundred fewer than predicted do not have everything fitted again."""
    assert alarms(DriftState(), examples(60 * BLOCK, rate=0.97)) == []


def test_what_was_predicted_before_an_alarm_sets_off_no_other() -> None:
    """Predictions go on maturing for a horizon: of those made until the alarm no more is said, of later ones it is."""
    state = DriftState()
    (first,) = alarms(state, examples(30 * BLOCK, rate=0.4))
    assert alarms(state, examples(30 * BLOCK, seed=1, day=30, rate=0.4)) == []
    (second,) = alarms(state, examples(10 * BLOCK, seed=2, day=120, rate=0.4))
    assert (first.detector, second.detector) == ("error:order", "error:order")


def test_one_windfall_is_no_drift() -> None:
    """An order of a billion, and nothing else out of the way."""
    state = DriftState()
    row = feature_rows(1)[0]
    given = [*examples(3 * BLOCK), example(row, 1e11, clv=800.0), *examples(20 * BLOCK, seed=1)]
    assert alarms(state, iter(given)) == []


@pytest.mark.parametrize("place", [0, 1, 499, 500, 2_750, 12_345])
def test_it_goes_on_from_its_plain_numbers(place: int) -> None:
    """Written down and read again anywhere, it says the same: River's own numbers are all kept."""
    given = [*examples(20 * BLOCK), *examples(10 * BLOCK, seed=1, day=20, rate=0.5, value=2.0)]
    whole, first = DriftState(), DriftState()
    expected = alarms(whole, iter(given))
    head = alarms(first, iter(given[:place]))
    second = msgspec.json.decode(msgspec.json.encode(first), type=DriftState)
    assert expected == head + alarms(second, iter(given[place:]))
    assert len(expected) > 1
    assert msgspec.json.encode(whole) == msgspec.json.encode(second)


def test_few_alarms_are_kept() -> None:
    """The last ones; the newest is the one whose time counts."""
    state = DriftState(alarms=tuple(Alarm("d", f"2024-01-{day:02d}T00:00:00Z", 0.0, 1.0, 5) for day in range(1, 21)))
    alarms(state, examples(30 * BLOCK, rate=0.4))
    assert len(state.alarms) == KEPT_ALARMS
    assert state.alarms[-1].detector == "error:order"
    assert START_MS + 90 * DAY_MS <= state.alarmed_ms < START_MS + 120 * DAY_MS


def test_drift_has_the_models_fitted_again() -> None:
    """An alarm between two refits brings the next one forward, to the first moment after the least interval."""
    learner, state = Learner(90), ScheduleState()
    schedule = Schedule(learner, Data(), state, refit_days=REFIT_DAYS)
    for one in examples(20 * BLOCK):
        learner.learn(one)
    fitted = []
    for day in range(130, 201):
        now_ms = START_MS + day * DAY_MS
        if day == 160:  # two days after a refit
            for one in examples(12 * BLOCK, seed=1, day=68, rate=0.3):
                learner.learn(one)
        schedule.refit(now_ms)
        schedule.publish(now_ms)
        fitted += [day] if state.refit_ms == now_ms else []
    assert fitted == [158, 158 + DRIFT_DAYS, 158 + DRIFT_DAYS + REFIT_DAYS]
