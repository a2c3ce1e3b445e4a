"""What somebody who knows the rules of ``producers.generator`` expects of a customer who has just bought, once.

Bayes' rule over what the rules leave open: the customer's rate, chance to leave, mean value and, where names are not
told, source and campaign. No model of a generated log can be expected to do better.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.special import roots_jacobi

from clv.rules import DAY_MS
from producers import generator
from producers.effects import CAMPAIGN_EFFECTS, SOURCE_EFFECTS, engagement_effect, season

if TYPE_CHECKING:
    from clv.ports import Floats, Ints

HORIZON_DAYS = 90
# A refund takes half of the orders that have one whole, and between a tenth and nine tenths of the others.
_NET_SHARE = 1.0 - 0.06 * (0.5 + 0.5 * 0.5)
_RATE_SHAPE, _LEAVING, _OPENING, _VALUE_SHAPE = 1.2, (1.2, 6.0), (2.0, 3.0), 4.0


class Newcomers(NamedTuple):
    """Customers at the end of the day of their only order, (n,) each; names as the generator's, values major units."""

    day: Ints
    value: Floats
    source: list[str]
    campaign: list[str]


def expected(customers: Newcomers, power: float, *, knows_names: bool) -> Floats:
    """Return the net revenue of the next ``HORIZON_DAYS`` that is to be expected, (n,), in major units.

    Parameters
    ----------
    power
        What every effect was raised to.
    """
    kinds = [
        (name, campaign, one.share * other.share, (one.rate * other.rate) ** power, (one.value * other.value) ** power)
        for name, one in SOURCE_EFFECTS.items()
        for campaign, other in CAMPAIGN_EFFECTS.items()
    ]
    weights, values = [], []
    for name, campaign, share, rate, value in kinds:
        mean, likelihood = _value(customers.value, value)
        is_told = (np.array(customers.source) == name) & (np.array(customers.campaign) == campaign)
        weights.append(np.where(is_told, 1.0, 0.0) if knows_names else share * likelihood)
        values.append(_orders(customers.day, rate, power) * mean * _NET_SHARE)
    found: Floats = np.sum(np.array(weights) * np.array(values), axis=0) / np.sum(weights, axis=0)
    return found


def _orders(day: Ints, rate: float, power: float) -> Floats:
    """Expected orders: who has not left after the first buys at a Gamma rate, and leaves after each with a chance."""
    leaving, leaving_share = _beta(*_LEAVING)
    opening, opening_share = _beta(*_OPENING)
    engagement = np.array([engagement_effect(share) ** power for share in opening])
    # Season stretches time: at twice the rate a day counts as two.
    days = np.array([season(each * DAY_MS) for each in range(int(day.max()) + HORIZON_DAYS + 1)])
    stretched = np.cumsum(days)[day + HORIZON_DAYS] - np.cumsum(days)[day]
    scale = _RATE_SHAPE * generator._MEAN_GAP_DAYS / (rate * engagement)
    grown = leaving * stretched[:, None, None] / scale[:, None]
    orders = (1.0 - leaving) / leaving * -np.expm1(-_RATE_SHAPE * np.log1p(grown))
    found: Floats = np.einsum("nol,o,l->n", orders, opening_share, leaving_share)
    return found


def _value(seen: Floats, factor: float) -> tuple[Floats, Floats]:
    """A customer's mean value, and how likely its first order was: log-normal means, Gamma orders round them."""
    steps = np.linspace(-4.5, 4.5, 181)
    centre = np.log(generator._MEAN_VALUE * factor) - generator._VALUE_SIGMA**2 / 2
    means = np.exp(centre + generator._VALUE_SIGMA * steps)
    ratio = _VALUE_SHAPE * seen[:, None] / means
    weight = np.exp(-(steps**2) / 2 + _VALUE_SHAPE * np.log(ratio) - ratio)
    return (weight * means).sum(axis=1) / weight.sum(axis=1), weight.sum(axis=1)


def _beta(a: float, b: float) -> tuple[Floats, Floats]:
    """Nodes and weights of a Beta distribution, by Gauss and Jacobi."""
    nodes, weights = roots_jacobi(24, b - 1.0, a - 1.0)
    return (nodes + 1.0) / 2.0, weights / weights.sum()
