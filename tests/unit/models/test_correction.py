"""What examples teach, and what they must not."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import PoissonRegressor

from models.correction import _RIDGE, COVERAGE, MIN_EXAMPLES, _deviances, _poisson, folds_of
from models.evaluation import tweedie_deviance
from tests.unit.models.summary_worlds import examples, expectation, fitted


def test_effects_that_are_there_are_learned() -> None:
    """Sources worth twice and half as much are told apart, and the deviance out of fold falls."""
    lesson = fitted(examples()).lesson
    assert lesson is not None
    assert lesson.correction is not None
    assert lesson.deviance_corrected < lesson.deviance_plain
    encoded = lesson.correction.encodings["acquisition_source"]
    assert encoded["search"] > 0.3 > -0.3 > encoded["social"]
    assert "" not in encoded


def test_effects_that_are_not_there_are_not_used() -> None:
    """Where every source is worth the same, chance alone does not change predictions."""
    used = [fitted(examples(2_000, seed=seed, factors={})).lesson for seed in range(3)]
    assert [lesson.correction for lesson in used if lesson is not None] == [None] * 3


def test_few_examples_teach_nothing() -> None:
    """Below the minimum there is no lesson, and so no labels."""
    fit = fitted(examples(MIN_EXAMPLES - 1))
    assert fit.lesson is None
    assert not fit.model.has_labels


def test_intervals_hold_what_they_promise_on_others() -> None:
    """On examples that were not learned from, nine in ten values lie inside."""
    lesson = fitted(examples()).lesson
    assert lesson is not None
    fresh = examples(seed=9, factors={})
    lower, upper = fitted(examples(factors={})).model.intervals.bounds(expectation(fresh.summaries))  # type: ignore[union-attr]
    inside = (fresh.value_minor >= lower) & (fresh.value_minor <= upper)
    assert COVERAGE - 0.02 < inside.mean() < COVERAGE + 0.07


def test_deviances_are_those_of_the_evaluation() -> None:
    """What is printed beside a correction can be held against what is printed beside a model."""
    rng = np.random.default_rng(0)
    value, said = rng.gamma(0.3, 9_000.0, 50) * (rng.random(50) < 0.5), rng.gamma(0.3, 9_000.0, 50)
    assert _deviances(value, said).tolist() == tweedie_deviance(value, said).tolist()


def test_a_customer_is_in_one_fold() -> None:
    """Folds depend on the id alone, and all are used."""
    names = [f"c{number}" for number in range(200)]
    folds = folds_of([*names, *names])
    assert folds[:200].tolist() == folds[200:].tolist()
    assert set(folds.tolist()) == {0, 1, 2, 3, 4}


def test_values_of_nothing_teach_without_failing() -> None:
    """Customers of whom none came back: no ratio, no encoding, and an answer all the same."""
    seen = examples(1_000)
    model = fitted(seen._replace(value_minor=np.zeros(1_000))).model
    assert model.has_labels


def test_weights_are_those_of_scikit_learn() -> None:
    """The same penalised likelihood, solved by another: the same model to four digits."""
    rng = np.random.default_rng(0)
    rows, weight = rng.normal(size=(400, 3)), rng.gamma(2.0, size=400)
    ratio = rng.poisson(np.exp(rows @ np.array([0.5, -0.3, 0.0]))).astype(np.float64)
    theirs = PoissonRegressor(alpha=_RIDGE, tol=1e-8, max_iter=500).fit(rows, ratio, sample_weight=weight)
    intercept, *weights = _poisson(np.column_stack((np.ones(400), rows)), ratio, weight)
    assert weights == pytest.approx(theirs.coef_.tolist(), abs=1e-4)
    assert intercept == pytest.approx(float(theirs.intercept_), abs=1e-4)
