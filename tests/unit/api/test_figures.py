"""Figures worked out from sums: concentration, means, error between two model cards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from api.context import Context, make_context
from api.distributions import lorenz_points
from api.quality import error_over_time
from api.views import mean, share
from clv.settings import Settings
from models.card import ModelCard, Window
from storage.engine import Database

if TYPE_CHECKING:
    from pathlib import Path


def test_concentration_runs_from_the_top() -> None:
    """The most valuable come first: of ten customers one holds nine tenths."""
    points = [(point.customer_share, point.value_share) for point in lorenz_points([(9, 100), (1, 900)])]
    assert points == [(0.0, 0.0), (0.1, 0.9), (1.0, 1.0)]
    assert lorenz_points([]) == lorenz_points([(5, 0)]) == []


@pytest.mark.parametrize(("total", "count", "expected"), [(10, 4, 3), (-10, 4, -2), (9, 4, 2), (5, 0, 0)])
def test_means_are_whole_and_rounded_half_up(total: int, count: int, expected: int) -> None:
    """Half a cent counts up, for losses too; nothing has a mean of 0."""
    assert mean(total, count) == expected


def test_shares_stay_between_nothing_and_all() -> None:
    """A part of nothing is no part, and rounding never leads beyond all."""
    assert [share(1, 3), share(1, 0), share(-1, 3), share(4, 3)] == [0.333333, 0.0, 0.0, 1.0]


def test_error_between_cards_is_that_of_the_examples_between(tmp_path: Path) -> None:
    """From two running means and their counts comes the mean of what was learned in between."""
    cards = [
        _card(1, {"clv": {"count": 100, "deviance": 200.0}}),
        _card(2, {"clv": {"count": 300, "deviance": 300.0}, "btyd": {"count": 50, "deviance": 100.0}}),
        _card(3, {"clv": {"count": 300, "deviance": 300.0}}),
    ]
    found = error_over_time(_context(tmp_path), cards)
    assert [(point.examples, point.deviance) for point in found] == [
        (100, {"clv": 20.0}),
        (200, {"clv": 35.0, "btyd": 10.0}),  # (300 x 300 - 100 x 200) / 200, in square roots of dollars
    ]


def _context(folder: Path) -> Context:
    settings = Settings(data_dir=folder)
    return make_context(settings, Database(settings.sql_url), lambda: 0.0)


def _card(sequence: int, metrics: dict[str, dict[str, Any]]) -> ModelCard:
    empty: dict[str, Any] = {
        **dict.fromkeys(("digest", "learned_through_at", "feature_digest", "champion", "ensemble_digest"), ""),
        **{name: {} for name in ("training", "members", "weights", "relative_errors")},
        **dict.fromkeys(("ensemble", "switch", "pin"), None),
        **dict.fromkeys(("customers", "repeat_customers"), 0),
    }
    return msgspec.convert(
        {
            "name": "scorer",
            "version": f"{sequence:06d}-card",
            "sequence": sequence,
            "cause": "refit",
            "horizon_days": 90,
            "features": (),
            "window": Window(),
            "metrics": metrics,
            **empty,
        },
        ModelCard,
    )
