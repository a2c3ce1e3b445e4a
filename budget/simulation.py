"""A year of weeks in a made-up market, lived by several policies with the same money and the same chance."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np

from budget.allocation import allocate
from budget.market import draw_market
from budget.proposal import Position, Request
from budget.response import FEWEST_WEEKS, Spent, fit_response
from clv.budget import BASELINE_SHARES
from clv.outcomes import SEGMENTS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from budget.market import Floats, Market, Scenario

POLICIES = ("equal", "rule", "optimiser", "clairvoyant")
WEEKS = 52
TRYING_WEEKS = 12
"""Weeks at the beginning in which the optimiser varies the rule's amounts, to learn what they bring."""
TRYING_SD = 0.15
"""By how much: standard deviation of the logarithm of an amount."""
_PULSE_SD = 0.05
"""By how much it goes on varying: a split that never changes teaches nothing."""
_MINOR = 100
_RESAMPLES = 10_000


class Year(msgspec.Struct, frozen=True):
    """What a year brought under each policy, per money spent, in one market."""

    scenario: str
    seed: int
    spent: float
    value: dict[str, float]


def live(scenario: Scenario, seed: int, weeks: int = WEEKS) -> Year:
    """Live through a market once with each policy; the same seed gives the same."""
    market = draw_market(scenario, seed, weeks)
    rule = np.array([float(BASELINE_SHARES[segment]) for segment in SEGMENTS]) * scenario.weekly_budget
    policies: dict[str, Callable[[], float]] = {
        "equal": lambda: _fixed(market, np.full(len(SEGMENTS), scenario.weekly_budget / len(SEGMENTS)), weeks),
        "rule": lambda: _fixed(market, rule, weeks),
        "optimiser": lambda: _optimised(market, rule, weeks, seed),
        "clairvoyant": lambda: sum(float(market.happened(w, market.best(w))[0].sum()) for w in range(weeks)),
    }
    spent = scenario.weekly_budget * weeks
    return Year(scenario.name, seed, spent, {name: policies[name]() for name in POLICIES})


def _fixed(market: Market, amounts: Floats, weeks: int) -> float:
    return sum(float(market.happened(week, amounts)[0].sum()) for week in range(weeks))


def _optimised(market: Market, rule: Floats, weeks: int, seed: int) -> float:
    """Let the product's optimiser decide each week from what it has seen: predicted values of weeks before."""
    chance = np.random.default_rng([seed, 11])
    budget = market.scenario.weekly_budget
    seen: list[Spent] = []
    wanted, total = rule, 0.0
    for week in range(weeks):
        swing = TRYING_SD if week < TRYING_WEEKS else _PULSE_SD
        tried = wanted * np.exp(chance.normal(0.0, swing, len(SEGMENTS)))
        amounts = tried / tried.sum() * budget
        realised, predicted = market.happened(week, amounts)
        total += float(realised.sum())
        for segment, amount, value in zip(SEGMENTS, amounts, predicted, strict=True):
            seen.append(Spent(segment, week, round(amount * _MINOR), max(round(value * _MINOR), 1)))
        if week + 1 >= max(TRYING_WEEKS, FEWEST_WEEKS):
            wanted = _decided(seen, wanted, budget)
    return total


def _decided(seen: Sequence[Spent], present: Floats, budget: float) -> Floats:
    positions = {
        segment: Position(amount_minor=round(amount * _MINOR))
        for segment, amount in zip(SEGMENTS, present, strict=True)
    }
    request = Request(total_minor=round(budget * _MINOR), positions=positions)
    found = allocate(request, fit_response(seen))
    return np.array([each.amount_minor for each in found.segments], dtype=np.float64) / _MINOR


class Gain(NamedTuple):
    """A relative gain over all seeds: mean, its 95 % interval by bootstrap over seeds, and how often it was a loss."""

    mean: float
    low: float
    high: float
    loses: float


def gain(years: Sequence[Year], policy: str, against: str) -> Gain:
    """Return by how much more a policy brought than another, relative; pairs of the same market are compared."""
    ratios = np.array([year.value[policy] / year.value[against] - 1 for year in years])
    chance = np.random.default_rng(0)
    means = chance.choice(ratios, (_RESAMPLES, len(ratios))).mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return Gain(float(ratios.mean()), float(low), float(high), float(np.mean(ratios < 0)))


def summarise(years: Sequence[Year]) -> dict[str, dict[str, object]]:
    """Return the figures of each scenario that was lived: value per money by policy, gains, and the part reached."""
    found: dict[str, dict[str, object]] = {}
    for name in dict.fromkeys(year.scenario for year in years):
        lived = [year for year in years if year.scenario == name]
        over_rule = gain(lived, "optimiser", "rule")
        most = gain(lived, "clairvoyant", "rule")
        found[name] = {
            "seeds": len(lived),
            "value_per_money": {
                policy: float(np.mean([year.value[policy] / year.spent for year in lived])) for policy in POLICIES
            },
            "optimiser_over_rule": over_rule._asdict(),
            "optimiser_over_equal": gain(lived, "optimiser", "equal")._asdict(),
            "clairvoyant_over_rule": most._asdict(),
            "reached": over_rule.mean / most.mean if most.mean > 0 else None,
        }
    return found
