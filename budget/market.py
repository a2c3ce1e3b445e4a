"""A made-up market: what money spent on each segment really brings. Its curves are not of the form that is fitted.

A week's spend x on a segment reaches new customers with saturation (a Hill curve: capacity·x^h/(k^h+x^h)); each
customer's realised value is drawn from a gamma distribution of the segment's; the season moves all segments, and
capacities drift as a random walk. Money in units, weeks from 0.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, minimize
from scipy.stats import gamma

from clv.outcomes import SEGMENTS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_N = len(SEGMENTS)


@dataclass(frozen=True)
class Scenario:
    """What kind of market is drawn.

    Parameters
    ----------
    weekly_budget
        Money a week.
    noise_sd
        Of the logarithm of a segment's weekly value, beyond the chance of who comes.
    drift_sd
        Of the logarithm of capacity, a week.
    season
        Swing of the year's season, 0-1, common to all segments.
    prediction_bias
        Factor by which the scorer's CLV of new customers is off, per segment.
    prediction_sd
        Of the logarithm of the scorer's error for a week's customers.
    is_rule_best
        Whether capacities are set so that the rule's split is the best one.
    break_week
        The week in which the segments' capacities change places; -1 for never.
    spread
        How differently the segments answer to money: standard deviation of the logarithm of capacity per money.
    """

    name: str
    weekly_budget: float = 10_000.0
    noise_sd: float = 0.15
    drift_sd: float = 0.02
    season: float = 0.25
    prediction_bias: tuple[float, float, float] = (1.0, 1.0, 1.0)
    prediction_sd: float = 0.1
    is_rule_best: bool = False
    break_week: int = -1
    spread: float = 0.6


ORDINARY = Scenario("ordinary")
SCENARIOS = {
    each.name: each
    for each in (
        ORDINARY,
        Scenario("segments differ widely", spread=1.2),
        Scenario("the rule is best", is_rule_best=True),
        Scenario("very noisy", noise_sd=0.6),
        Scenario("regime change", break_week=26),
        Scenario("biased CLV", prediction_bias=(1.6, 1.0, 0.6)),
        Scenario("little money", weekly_budget=1_000.0, noise_sd=0.4),
    )
}
"""Markets that are tried: the ordinary one, and those in which an optimiser may do harm."""


@dataclass(frozen=True)
class Market:
    """One market of a scenario; arrays are (3,) by segment, but ``capacity``, (weeks, 3)."""

    scenario: Scenario
    capacity: Floats
    half: Floats
    steepness: Floats
    value: Floats
    season: Floats
    noise: Floats
    error: Floats
    _chance: int

    def expected(self, week: int, amounts: Floats) -> Floats:
        """Return the value that amounts (3,) are expected to bring in a week, per segment."""
        powered = np.power(np.maximum(amounts, 0.0), self.steepness)
        share = powered / (np.power(self.half, self.steepness) + powered)
        found: Floats = self.capacity[week] * share * self.value * self.season[week]
        return found

    def happened(self, week: int, amounts: Floats) -> tuple[Floats, Floats]:
        """Return what a week really brought, per segment, and what the scorer predicted of those who came.

        The same week and amounts bring the same: chance is the week's, not the policy's.
        """
        expected = self.expected(week, amounts)
        customers = np.maximum(expected / self.value, 1e-9)
        chance = np.random.default_rng([self._chance, week])
        # The sum of n customers' gamma values, shape 0.5 each: heavy tails, as order logs have them.
        shape = 0.5 * customers
        quantile = chance.uniform(0.001, 0.999, _N)
        realised = _gamma_like(quantile, shape) * expected * np.exp(self.noise[week])
        bias = np.array(self.scenario.prediction_bias)
        return realised, realised * bias * np.exp(self.error[week])

    def best(self, week: int) -> Floats:
        """Return the split that brings most in a week, found with the true curves: what no policy can know."""
        budget = self.scenario.weekly_budget
        even = np.full(_N, 1 / _N)
        starts = [even, *(0.8 * np.eye(_N) + 0.2 * even), np.array([0.50, 0.35, 0.15])]

        def lost(shares: Floats) -> float:
            """Return what is to be made small, of the size of one."""
            return -float(self.expected(week, shares * budget).sum()) / budget

        sums_up = LinearConstraint(np.ones((1, _N)), 1.0, 1.0)
        options = {"bounds": Bounds(0.0, 1.0), "constraints": [sums_up], "method": "SLSQP"}
        found = [minimize(lost, start, **options).x for start in starts]  # type: ignore[call-overload]  # options as one
        splits = [np.clip(each, 0, None) / np.clip(each, 0, None).sum() for each in (*found, *starts)]
        best: Floats = min(splits, key=lost) * budget
        return best


def draw_market(scenario: Scenario, seed: int, weeks: int) -> Market:
    """Draw a market; the same seed draws the same.

    Parameters
    ----------
    weeks
        How long it lasts.
    """
    chance = np.random.default_rng([seed, 7])
    budget = scenario.weekly_budget
    half = budget * np.exp(chance.normal(np.log([0.6, 0.5, 0.4]), 0.3))
    steepness = chance.uniform(0.7, 1.0, _N)
    value = np.exp(chance.normal(np.log([260.0, 90.0, 30.0]), 0.25))
    # Return on money of some 2.5 at the rule's split, by segment more or less.
    rule = budget * np.array([0.50, 0.35, 0.15])
    share = rule**steepness / (half**steepness + rule**steepness)
    level = 2.5 * rule * np.exp(chance.normal(0.0, scenario.spread, _N)) / (share * value)
    walk = np.cumsum(chance.normal(0.0, scenario.drift_sd, (weeks, _N)), axis=0)
    capacity = level * np.exp(walk)
    if 0 <= scenario.break_week < weeks:
        worth = capacity * value
        capacity[scenario.break_week :] = worth[scenario.break_week :][:, [2, 0, 1]] / value
    season = 1 + scenario.season * np.sin(2 * np.pi * (np.arange(weeks) + chance.integers(52)) / 52)
    market = Market(
        scenario,
        capacity,
        half,
        steepness,
        value,
        season,
        chance.normal(0.0, scenario.noise_sd, (weeks, _N)),
        chance.normal(0.0, scenario.prediction_sd, (weeks, _N)),
        seed,
    )
    return _with_rule_best(market, rule) if scenario.is_rule_best else market


def _with_rule_best(market: Market, rule: Floats) -> Market:
    """Return the market with capacities such that one more unit brings the same in all segments at the rule."""
    step = 1e-4 * rule
    slopes = (market.expected(0, rule + step) - market.expected(0, rule - step)) / (2 * step)
    return replace(market, capacity=market.capacity[:1] / slopes * slopes.mean() * np.ones_like(market.capacity))


def _gamma_like(quantile: Floats, shape: Floats) -> Floats:
    """Return quantiles of a gamma distribution of mean 1."""
    found: Floats = gamma.ppf(quantile, shape) / shape
    return found
