"""Marketing attributes on a made-up shop whose effects are known: they help where they say something, and do no harm.

The shops are those of ``producers.generator`` with the effects of ``producers.effects``, the same effects squared (as
of a shop whose sources differ more), and none at all. What could be gained at best is in ``truth``.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest

from clv import ledger
from clv.events import CustomerErased, OrderPlaced, Tick
from clv.features import CODE_NAMES, FEATURE_INDEX, code_of
from clv.moments import features_at
from clv.rfm import reduce, totals_at
from clv.rules import DAY_MS, Rules
from clv.state import CustomerState
from models import btyd, glm
from models.evaluation import tweedie_deviance
from models.glm_inputs import BEHAVIOUR_NAMES
from models.histories import Past, past_at
from producers import effects, generator
from producers.generator import Shop
from tests.unit.models.histories import START_MS
from tests.unit.models.truth import HORIZON_DAYS, Newcomers, expected

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clv.events import CustomerEvent
    from clv.ports import Floats

RULES = Rules()
SEEDS = (2, 4, 5)
REFIT_DAYS = (220, 290)
"""Days of refits; each answers for the seventy days after it."""
STANDING_DAY = 360
MARKETING = (
    *CODE_NAMES,
    *("email_sent_count", "email_open_rate", "email_click_rate", "return_rate", "category_count"),
    *("acquisition_cost_minor", "has_acquisition"),
)


class Customers(NamedTuple):
    """Feature rows and what was bought in the 90 days after, minor units."""

    rows: Floats
    value_minor: Floats


class World(NamedTuple):
    """A shop as refits saw it, its newcomers by the refit before them, and all customers on the standing day."""

    pasts: dict[int, Past]
    newcomers: dict[int, tuple[Customers, Newcomers]]
    standing: Customers


def end_of(day: int) -> int:
    """Return the last millisecond of a day of the shop."""
    return START_MS + (day + 1) * DAY_MS - 1


def world(seed: int) -> World:
    """Let a shop of 3,000 customers pass, and look at it on each refit's day and on the standing day."""
    states = []
    histories = {}
    for history in Shop(seed=seed, customers=3_000, start_ms=START_MS, days=450).histories():
        state = CustomerState()
        for event in sorted(history, key=lambda event: (event.occurred_ms, event.event_id)):
            assert not isinstance(event, CustomerErased | Tick)
            reduce(state, event, 0, RULES)
        states.append((history[0].customer_id, state))
        histories[history[0].customer_id] = history
    pasts = {day: past_at(states, end_of(day), RULES) for day in (*REFIT_DAYS, STANDING_DAY)}
    known = [state for _, state in states if totals_at(state, end_of(STANDING_DAY)).purchase_day_count]
    return World(
        {day: past for day, past in pasts.items() if past is not None},
        {day: newcomers([(histories[name], state) for name, state in states], day) for day in REFIT_DAYS},
        customers([(state, STANDING_DAY) for state in known]),
    )


def newcomers(
    states: Sequence[tuple[Sequence[CustomerEvent], CustomerState]], refit_day: int
) -> tuple[Customers, Newcomers]:
    """Return who bought for the first time in the seventy days after a refit, and only once on that day."""
    found = []
    for history, state in states:
        first, *others = [event for event in history if isinstance(event, OrderPlaced)]
        day = (first.occurred_ms - START_MS) // DAY_MS
        if 0 < day - refit_day <= 70 and not (others and others[0].occurred_ms <= end_of(day)):
            found.append((first, day, state))
    asked = Newcomers(
        np.array([end_of(day) // DAY_MS for _, day, _ in found]),
        np.array([first.total_minor / 100 for first, _, _ in found]),
        [first.source for first, _, _ in found],
        [first.campaign_type for first, _, _ in found],
    )
    return customers([(state, day) for _, day, state in found]), asked


def customers(states: Sequence[tuple[CustomerState, int]]) -> Customers:
    """Return customers as they were at the ends of days."""
    rows = [features_at(state, end_of(day), totals_at(state, end_of(day))) for state, day in states]
    return Customers(np.array(rows), np.array([bought_after(state, end_of(day)) for state, day in states]))


def bought_after(state: CustomerState, at_ms: int) -> float:
    """Return what a customer bought in the 90 days after a moment, less refunds, at least 0."""
    entries = ledger.unpack(state.ledger)
    later = zip(entries, ledger.effects(entries), strict=True)
    until = HORIZON_DAYS * DAY_MS
    return max(sum(effect.net_minor for entry, effect in later if 0 < entry.at_ms - at_ms <= until), 0.0)


def without(features: Floats, names: Sequence[str]) -> Floats:
    """Return features of which some say nothing."""
    silent = features.copy()
    silent[:, [FEATURE_INDEX[name] for name in names]] = 0.0
    return silent


def predicted(given: World, day: int, rows: Floats, silent: Sequence[str] = ()) -> Floats:
    """Predict rows, (n,) minor units, by a regression of a day that some features say nothing to."""
    past = given.pasts[day]
    base = btyd.fit(past.histories)
    windows = past.windows._replace(features=without(past.windows.features, silent))
    state = glm.fit(windows, base, now_ms=end_of(day), horizon_days=HORIZON_DAYS)
    assert state is not None
    rows = without(rows, silent)
    return state.predict(rows, btyd.answer(base, btyd.histories_of(rows), horizon_days=HORIZON_DAYS))


@cache
def worlds(power: float) -> list[World]:
    """Return shops whose effects are all raised to a power: 2 doubles their logs, 0 leaves none."""
    with pytest.MonkeyPatch.context() as patch:
        raise_effects(power, patch)
        return [world(seed) for seed in SEEDS]


def raise_effects(power: float, patch: pytest.MonkeyPatch) -> None:
    """Raise every effect of the generator to a power."""
    for name in ("SOURCE_EFFECTS", "CAMPAIGN_EFFECTS"):
        raised = {
            key: replace(effect, rate=effect.rate**power, value=effect.value**power)
            for key, effect in getattr(effects, name).items()
        }
        patch.setattr(generator, name, raised)
    patch.setattr(generator, "engagement_effect", lambda opens: effects.engagement_effect(opens) ** power)


class Told(NamedTuple):
    """Newcomers of all worlds: what came, and what was expected with and without attributes, by model and by truth."""

    source: list[str]
    actual: Floats
    model: dict[bool, Floats]
    truth: dict[bool, Floats]

    def gains(self) -> tuple[float, float]:
        """Return by what share attributes lower the deviance: the model's, and that of who knows the rules."""
        before, after, blind, aware = (
            float(tweedie_deviance(self.actual, said).mean())
            for said in (self.model[False], self.model[True], self.truth[False], self.truth[True])
        )
        return 1.0 - after / before, 1.0 - aware / blind

    def miscalibration(self, said: Floats) -> float:
        """Return by how much the sources' totals are off against one another: mean absolute log, by customers."""
        source = np.array(self.source)
        whole = said.sum() / self.actual.sum()
        off = {
            name: abs(np.log(said[source == name].sum() / self.actual[source == name].sum() / whole))
            for name in set(self.source)
        }
        return float(np.mean([off[name] for name in self.source]))


@cache
def told(power: float) -> Told:
    """Ask model and truth of every newcomer."""
    parts = [
        (
            asked.source,
            known.value_minor,
            *(predicted(one, day, known.rows, silent) for silent in (MARKETING, ())),
            *(100.0 * expected(asked, power, knows_names=knows) for knows in (False, True)),
        )
        for one in worlds(power)
        for day, (known, asked) in one.newcomers.items()
    ]
    sources, *columns = zip(*parts, strict=True)
    actual, plain, informed, blind, aware = (np.concatenate(column) for column in columns)
    source = [name for each in sources for name in each]
    return Told(source, actual, {False: plain, True: informed}, {False: blind, True: aware})


@pytest.mark.slow
@pytest.mark.parametrize(("power", "share"), [(2.0, 0.65), (1.0, 0.25)], ids=["strong", "as documented"])
def test_much_of_what_newcomers_names_can_gain_is_gained(power: float, share: float) -> None:
    """Attributes lower the deviance by at least so much of what they would to somebody who knows their effects."""
    realised, possible = told(power).gains()
    assert possible > 0.02
    assert realised >= share * possible


@pytest.mark.slow
@pytest.mark.parametrize("power", [2.0, 1.0], ids=["strong", "as documented"])
def test_newcomers_are_better_calibrated_by_source(power: float) -> None:
    """With attributes sources are off against one another by a quarter less at least, and truth is nearly right."""
    found = told(power)
    off = {knows: found.miscalibration(said) for knows, said in found.model.items()}
    assert found.miscalibration(found.truth[True]) < off[False] / 2.0
    assert off[True] < 0.75 * off[False]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("power", "at_most"), [(2.0, 0.998), (1.0, 1.002), (0.0, 1.002)], ids=["strong", "as documented", "absent"]
)
def test_attributes_do_no_harm(power: float, at_most: float) -> None:
    """To all customers together, and to newcomers where there is nothing to find: a five-hundredth at most."""
    with_all, without_any = (
        sum(
            tweedie_deviance(one.standing.value_minor, predicted(one, STANDING_DAY, one.standing.rows, silent)).mean()
            for one in worlds(power)
        )
        for silent in ((), MARKETING)
    )
    assert with_all <= at_most * without_any
    assert told(power).gains()[0] >= -0.002


def test_sources_are_told_apart_as_they_are() -> None:
    """E-mail and search, whose customers buy most often, are learnt to be worth more than social and affiliate."""
    past = worlds(1.0)[0].pasts[STANDING_DAY]
    state = glm.fit(past.windows, btyd.fit(past.histories), now_ms=end_of(STANDING_DAY), horizon_days=HORIZON_DAYS)
    assert state is not None
    worth = {name: state.encodings["source_code"][str(code_of(name))] for name in effects.SOURCE_EFFECTS}
    assert min(worth["email"], worth["search"]) > max(worth["social"], worth["affiliate"])
    campaigns = {name: state.encodings["campaign_code"][str(code_of(name))] for name in effects.CAMPAIGN_EFFECTS}
    assert max(campaigns, key=lambda name: campaigns[name]) == "retargeting"


def test_a_log_without_attributes_is_as_if_there_were_none() -> None:
    """No weight, no table: predictions are those of behaviour alone, to the last bit."""
    past = worlds(1.0)[0].pasts[STANDING_DAY]
    windows = past.windows._replace(features=without(past.windows.features, MARKETING))
    state = glm.fit(windows, btyd.fit(past.histories), now_ms=end_of(STANDING_DAY), horizon_days=HORIZON_DAYS)
    assert state is not None
    assert set(state.weights[len(BEHAVIOUR_NAMES) :]) == {0.0}
    assert [*state.encodings.values()] == [{}, {}, {}]
