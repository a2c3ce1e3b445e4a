"""Marketing attributes on a made-up shop whose effects are known: they help where they say something, and do no harm.

The shops are those of ``producers.generator`` with the effects of ``producers.effects``, the same effects squared (as
of a shop whose sources differ more), and none at all.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest

from clv import ledger
from clv.events import CustomerErased, Tick
from clv.features import CODE_NAMES, FEATURE_INDEX, code_of
from clv.moments import features_at
from clv.rfm import reduce, totals_at
from clv.rules import DAY_MS, Rules
from clv.state import CustomerState
from models import btyd, glm
from models.evaluation import tweedie_deviance
from models.histories import Past, past_at
from producers import effects, generator
from producers.generator import Shop
from tests.unit.models.histories import START_MS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clv.ports import Floats

RULES = Rules()
NOW_MS = START_MS + 360 * DAY_MS - 1
SEEDS = (2, 4)
MARKETING = (
    *CODE_NAMES,
    *("email_sent_count", "email_open_rate", "email_click_rate", "return_rate"),
    *("acquisition_cost_minor", "has_acquisition"),
)


class World(NamedTuple):
    """A shop after 360 days: what refits see, customers' rows, and what they bought in the 90 days after."""

    past: Past
    base: btyd.BtydParams
    rows: Floats
    value_minor: Floats


def world(seed: int) -> World:
    """Let a shop pass and look at it on day 360."""
    states = []
    for history in Shop(seed=seed, customers=3_000, start_ms=START_MS, days=450).histories():
        state = CustomerState()
        for event in sorted(history, key=lambda event: (event.occurred_ms, event.event_id)):
            assert not isinstance(event, CustomerErased | Tick)
            reduce(state, event, 0, RULES)
        states.append((history[0].customer_id, state))
    past = past_at(states, NOW_MS, RULES)
    assert past is not None
    known = [(state, totals_at(state, NOW_MS)) for _, state in states]
    known = [(state, totals) for state, totals in known if totals.purchase_day_count]
    rows = np.array([features_at(state, NOW_MS, totals) for state, totals in known])
    return World(past, btyd.fit(past.histories), rows, np.array([bought_later(state) for state, _ in known]))


def bought_later(state: CustomerState) -> float:
    """Return what a customer bought in the 90 days after, less refunds, at least 0."""
    entries = ledger.unpack(state.ledger)
    later = zip(entries, ledger.effects(entries), strict=True)
    return max(sum(effect.net_minor for entry, effect in later if 0 < entry.at_ms - NOW_MS <= 90 * DAY_MS), 0.0)


def without(features: Floats, names: Sequence[str]) -> Floats:
    """Return features of which some say nothing."""
    silent = features.copy()
    silent[:, [FEATURE_INDEX[name] for name in names]] = 0.0
    return silent


def deviance(given: World, silent: Sequence[str] = ()) -> float:
    """Fit the regression without some of the features; return its mean deviance on what came after."""
    windows = given.past.windows
    state = glm.fit(
        windows._replace(features=without(windows.features, silent)), given.base, now_ms=NOW_MS, horizon_days=90
    )
    assert state is not None
    answer = btyd.answer(given.base, btyd.histories_of(given.rows), horizon_days=90)
    predicted = state.predict(without(given.rows, silent), answer)
    return float(tweedie_deviance(given.value_minor, predicted).mean())


def with_effects(power: float, patch: pytest.MonkeyPatch) -> None:
    """Raise every effect of the generator to a power: 2 doubles their logs, 0 leaves none."""
    for name in ("SOURCE_EFFECTS", "CAMPAIGN_EFFECTS"):
        raised = {
            key: replace(effect, rate=effect.rate**power, value=effect.value**power)
            for key, effect in getattr(effects, name).items()
        }
        patch.setattr(generator, name, raised)
    patch.setattr(generator, "engagement_effect", lambda opens: effects.engagement_effect(opens) ** power)


@pytest.mark.parametrize(
    ("power", "at_most"), [(2.0, 0.999), (1.0, 1.001), (0.0, 1.001)], ids=["strong", "as documented", "absent"]
)
def test_marketing_attributes_help_or_do_no_harm(power: float, at_most: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names alone, and all attributes, lower the later deviance where effects are strong, and nowhere raise it."""
    with_effects(power, monkeypatch)
    worlds = [world(seed) for seed in SEEDS]
    known = sum(deviance(given) for given in worlds)
    for silent in (CODE_NAMES, MARKETING):
        assert known <= at_most * sum(deviance(given, silent) for given in worlds), silent


def test_sources_are_told_apart_as_they_are() -> None:
    """E-mail and search, whose customers buy most often, are learnt to be worth more than social and affiliate."""
    given = world(SEEDS[0])
    state = glm.fit(given.past.windows, given.base, now_ms=NOW_MS, horizon_days=90)
    assert state is not None
    worth = {name: state.encodings["source_code"][str(code_of(name))] for name in effects.SOURCE_EFFECTS}
    assert min(worth["email"], worth["search"]) > max(worth["social"], worth["affiliate"])
    assert state.weights[glm.INPUT_NAMES.index("source_effect_x_newness")] > 0.0
    campaigns = {name: state.encodings["campaign_code"][str(code_of(name))] for name in effects.CAMPAIGN_EFFECTS}
    assert max(campaigns, key=lambda name: campaigns[name]) == "retargeting"
