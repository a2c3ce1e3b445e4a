"""Prequential error and the choice of champion."""

from __future__ import annotations

import numpy as np
import pytest

from models.evaluation import Prequential, choose_champion, tweedie_deviance


def compared(count: int, **predictions: float) -> Prequential:
    """Return totals after ``count`` examples of value 100 with constant predictions."""
    prequential = Prequential()
    for _ in range(count):
        prequential.update(100.0, predictions)
    return prequential


def test_deviance_is_the_tweedie_formula() -> None:
    """The square form equals the textbook's unit deviance of power 1.5."""
    actual, predicted = np.array([0.0, 4.0, 900.0]), np.array([1.0, 9.0, 400.0])
    textbook = 2 * (actual**0.5 / -0.25 - actual * predicted**-0.5 / -0.5 + predicted**0.5 / 0.5)
    np.testing.assert_allclose(tweedie_deviance(actual, predicted), textbook)


def test_metrics_are_means_over_what_was_answered() -> None:
    """Errors count per candidate; an example that a model did not answer is left out for it."""
    prequential = Prequential()
    prequential.update(400.0, {"btyd": 100.0, "online": 0.0})
    prequential.update(0.0, {"btyd": 100.0, "online": 50.0})
    metrics = prequential.metrics()
    assert (metrics["btyd"].count, metrics["btyd"].mae, metrics["btyd"].ratio) == (2, 200.0, 0.5)
    assert metrics["btyd"].deviance == pytest.approx((4 * 100 / 10 + 4 * 10) / 2)
    assert (metrics["online"].count, metrics["online"].mae) == (1, 50.0)


def test_a_challenger_needs_enough_examples() -> None:
    """However much better, a challenger waits for the minimum count."""
    available = ("btyd", "online")
    assert choose_champion(compared(499, btyd=300.0, online=101.0), current="btyd", available=available) == "btyd"
    assert choose_champion(compared(500, btyd=300.0, online=101.0), current="btyd", available=available) == "online"


def test_a_challenger_needs_the_margin() -> None:
    """Half a per cent better is not enough; the champion stays, whichever it is."""
    prequential = compared(600, btyd=400.0, online=399.5)
    assert choose_champion(prequential, current="btyd", available=("btyd", "online")) == "btyd"
    assert choose_champion(prequential, current="online", available=("btyd", "online")) == "online"


def test_a_champion_that_is_gone_gives_way() -> None:
    """A champion that no longer exists, or never did, leaves the answer to the reference."""
    assert choose_champion(Prequential(), current="ensemble", available=("btyd", "online")) == "btyd"
    assert choose_champion(Prequential(), current="prior", available=("btyd",)) == "btyd"


def test_comparison_is_on_the_same_examples() -> None:
    """A model that answered only the easy examples is compared with the reference on those alone."""
    prequential = compared(600, btyd=10_000.0)
    for _ in range(600):
        prequential.update(100.0, {"btyd": 105.0, "online": 110.0})
    error = prequential.relative_error("online")
    assert error is not None
    assert error > 1.0
