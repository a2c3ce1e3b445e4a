"""Prequential error and the choice of champion."""

from __future__ import annotations

import math

import numpy as np
import pytest

from models.evaluation import Prequential, blend_weights, choose_champion, tweedie_deviance


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


def test_the_expected_answer_until_they_have_shown_otherwise() -> None:
    """Unproven, the blend goes before the regression and both before the reference; nothing else may answer yet."""
    empty = Prequential()
    assert choose_champion(empty, current="prior", available=("btyd",)) == "btyd"
    assert choose_champion(empty, current="btyd", available=("btyd", "glm")) == "glm"
    assert choose_champion(empty, current="btyd", available=("btyd", "glm", "online", "blend")) == "blend"


def test_an_expected_model_that_is_worse_gives_way() -> None:
    """The expectation counts for four thousand examples: a regression clearly worse on fewer loses the answer."""
    available = ("btyd", "glm")
    assert choose_champion(compared(5, btyd=120.0, glm=250.0), current="glm", available=available) == "glm"
    assert choose_champion(compared(800, btyd=120.0, glm=250.0), current="glm", available=available) == "btyd"


@pytest.mark.parametrize("count", [0, 500, 4_000, 9_000])
def test_standing_is_drawn_towards_what_is_expected(count: int) -> None:
    """Relative error and expectation, weighted by examples, of which four thousand at most count as known."""
    prequential = compared(count, btyd=400.0, glm=225.0, online=225.0)
    error = (math.sqrt(225.0) - 10.0) ** 2 / math.sqrt(225.0) / ((20.0 - 10.0) ** 2 / 20.0)
    known = min(count, 4_000)
    for name, expected in (("glm", 0.975), ("online", 1.0)):
        standing = (known * error + 4_000 * expected) / (known + 4_000)
        assert prequential.standing(name) == pytest.approx(standing, rel=1e-9)


def test_weights_of_a_blend_follow_standing() -> None:
    """They add up to 1; one per cent less error is worth e**0.8 times the part."""
    prequential = compared(700, btyd=400.0, glm=380.0, online=390.0)
    weights = blend_weights(prequential, ("btyd", "glm", "online"))
    assert sum(weights.values()) == pytest.approx(1.0)
    for name in ("glm", "online"):
        lead = prequential.standing("btyd") - prequential.standing(name)
        assert weights[name] / weights["btyd"] == pytest.approx(math.exp(80.0 * lead))


def test_who_is_not_proven_has_no_part() -> None:
    """A model of which nothing is expected waits for five hundred examples; without members there are no weights."""
    members = ("btyd", "glm", "ensemble")
    assert set(blend_weights(compared(499, btyd=110.0, ensemble=101.0), members)) == {"btyd", "glm"}
    assert set(blend_weights(compared(500, btyd=110.0, ensemble=101.0), members)) == set(members)
    assert blend_weights(compared(500, btyd=110.0, ensemble=101.0), ()) == {}
    assert blend_weights(Prequential(), ("btyd",)) == {"btyd": 1.0}


def weighted(weight: float, count: int) -> Prequential:
    """Return totals after ``count`` examples that count so much each."""
    prequential = Prequential()
    for _ in range(count):
        prequential.update(100.0, {"btyd": 300.0, "online": 101.0}, weight=weight)
    return prequential


def test_examples_count_by_their_weight() -> None:
    """Metrics count each example whole; who may answer depends on what examples weigh."""
    half, none, whole = weighted(0.5, 998), weighted(0.0, 998), weighted(1.0, 998)
    assert half.metrics() == none.metrics() == whole.metrics()
    assert half.relative_error("online") is None
    assert weighted(0.5, 1_000).relative_error("online") == pytest.approx(whole.relative_error("online"))
    assert none.recent("online") == (1.0, 0.0)
    assert none.standing("online") == 1.0


def test_an_example_of_little_weight_hardly_fades_what_was_before() -> None:
    """Ten examples of a tenth fade the past as much as one whole one does, and weigh as much."""
    tenths, one = weighted(1.0, 600), weighted(1.0, 600)
    for _ in range(10):
        tenths.update(400.0, {"btyd": 300.0, "online": 101.0}, weight=0.1)
    one.update(400.0, {"btyd": 300.0, "online": 101.0})
    for name in ("btyd", "online"):
        assert tenths.candidates[name].recent_deviance == pytest.approx(one.candidates[name].recent_deviance, rel=5e-4)
        assert tenths.candidates[name].paired_count == pytest.approx(one.candidates[name].paired_count)
