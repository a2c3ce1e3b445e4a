"""Curves from past weeks: found where the data hold them, refused in words where they do not."""

from __future__ import annotations

import numpy as np
import pytest

from budget.response import NoResponse, Response, Spent, fit_response
from clv.outcomes import SEGMENTS

LEVELS, ELASTICITIES = (9.0, 8.0, 7.0), (0.4, 0.55, 0.7)


def weeks(
    count: int = 60, *, spread: float = 0.4, noise: float = 0.05, season: float = 0.3, seed: int = 1
) -> list[Spent]:
    """Return weeks of a world whose curves are known."""
    chance = np.random.default_rng(seed)
    rows = []
    for week in range(count):
        swing = season * np.sin(week / 8)
        for segment, level, elasticity in zip(SEGMENTS, LEVELS, ELASTICITIES, strict=True):
            log_spend = np.log(300_000) + chance.normal(0, spread)
            log_value = level + elasticity * log_spend + swing + chance.normal(0, noise)
            rows.append(Spent(segment, week, round(np.exp(log_spend)), round(np.exp(log_value))))
    return rows


def fitted(rows: list[Spent]) -> Response:
    """Fit what can be fitted."""
    found = fit_response(rows)
    assert isinstance(found, Response)
    return found


def test_known_elasticities_are_found_through_noise_and_season() -> None:
    """Each within what the posterior says of its own uncertainty."""
    found = fitted(weeks())
    spread = found.draws[:, :, 1].std(axis=0)
    assert np.all(np.abs(found.elasticity - ELASTICITIES) < 3 * spread)
    assert np.all(spread < 0.12)


def test_what_money_brings_is_found_where_it_was_spent() -> None:
    """The curve passes through the data, in an ordinary week."""
    found = fitted(weeks(season=0.0))
    amounts = np.full(3, 300_000.0)
    truth = np.exp(LEVELS) * amounts ** np.array(ELASTICITIES)
    assert found.value(amounts) == pytest.approx(truth, rel=0.06)


def test_little_data_lean_on_the_prior_and_say_so() -> None:
    """Eight noisy weeks leave the elasticity about 0.6, and wide."""
    found = fitted(weeks(8, noise=0.8))
    assert np.all(np.abs(found.elasticity - 0.6) < 0.3)
    assert np.all(found.draws[:, :, 1].std(axis=0) > 0.1)


def test_returns_diminish_and_more_is_never_worth_less() -> None:
    """Concave and rising, whatever was seen."""
    found = fitted(weeks(noise=0.5, seed=3))
    amounts = np.linspace(1_000, 10**6, 50)
    values = np.array([found.value(np.full(3, amount)) for amount in amounts])
    assert np.all(np.diff(values, axis=0) > 0)
    assert np.all(np.diff(values, 2, axis=0) < 0)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([], "High-CLV has 0 weeks with spend and value, 8 are needed"),
        (weeks(7), "High-CLV has 7 weeks"),
        (weeks(spread=0.001), "what was spent on High-CLV hardly varied"),
        ([row for row in weeks() if row.segment != "Low-CLV"], "Low-CLV has 0 weeks"),
        ([row._replace(value_minor=0) for row in weeks()], "High-CLV has 0 weeks"),
    ],
    ids=["nothing", "too few", "never varied", "a segment missing", "no value"],
)
def test_what_cannot_be_seen_is_said(rows: list[Spent], says: str) -> None:
    """No curve is invented."""
    found = fit_response(rows)
    assert isinstance(found, NoResponse)
    assert says in found.reason


def test_the_same_weeks_give_the_same_curves() -> None:
    """In whatever order they come."""
    rows = weeks(20)
    first, second = fitted(rows), fitted(rows[::-1])
    assert np.allclose(first.draws, second.draws, rtol=1e-9)
