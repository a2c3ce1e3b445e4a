"""The online model: River inside, plain numbers outside."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from clv.errors import FeatureMismatch
from models import relative
from models.online import OnlineModel, OnlineState
from models.relative import INPUT_NAMES
from tests.unit.models.histories import absurd_rows, feature_rows, values_of


def learnt(count: int = 600) -> OnlineModel:
    """Return a model that has learnt plausible examples with a base of 2,000."""
    model = OnlineModel()
    rows = feature_rows(count)
    for row, value in zip(rows, values_of(rows), strict=True):
        model.learn_one(row, 2_000.0, float(value))
    return model


def test_snapshot_scores_as_river_predicts() -> None:
    """The numpy scoring of a snapshot equals River's predict_one, row by row."""
    model, rows = learnt(), feature_rows(200, seed=7)
    base = np.linspace(1.0, 50_000.0, 200)
    expected = [model.predict_one(row, float(value)) for row, value in zip(rows, base, strict=True)]
    np.testing.assert_allclose(model.to_state().predict(rows, base), expected, rtol=1e-9)


def test_it_learns_that_the_base_is_too_low() -> None:
    """Shown values of three times the base again and again, it ends nearer to them than to the base."""
    model, rows = OnlineModel(), feature_rows(4_000)
    for row in rows:
        model.learn_one(row, 5_000.0, 15_000.0)
    predicted = model.to_state().predict(rows[:200], np.full(200, 5_000.0))
    assert 10_000.0 < predicted.mean() < 18_000.0


def test_absurd_examples_leave_it_finite_and_bounded() -> None:
    """Whatever it is made to learn, predictions stay within e^1.5 of the base's unit."""
    model, rows = learnt(100), absurd_rows()
    for _ in range(200):
        for row, value in zip(rows, (0.0, 1e14, 5.0, 1e9, 0.0, 1e14), strict=True):
            model.learn_one(row, 1e-3, value)
    usual = feature_rows(50)
    predicted = model.to_state().predict(np.vstack([rows, usual]), np.full(56, 1_000.0))
    assert np.isfinite(predicted).all()
    assert (predicted[6:] <= (1_000.0 + 0.15 * usual[:, 5] + 1.0) * np.exp(1.5) * (1 + 1e-12)).all()


def test_corrections_fade_beyond_the_support() -> None:
    """At four times the support half of the correction counts, in logs; up to it all of it does."""
    state, rows, base = learnt().to_state(), feature_rows(100, seed=7), np.full(100, 3_000.0)
    unit = relative.unit_minor(rows, base)
    whole = np.log(state.predict(rows, base) / base)
    assert state.predict(rows, base, float(unit.max())).tolist() == state.predict(rows, base).tolist()
    for place in range(100):
        faded = state.predict(rows, base, float(unit[place]) / 4.0)
        assert np.log(faded[place] / base[place]) == pytest.approx(whole[place] / 2.0, abs=1e-9)


def test_weights_out_of_bounds_are_drawn_back() -> None:
    """Weights that would let the exponential overflow do not survive the next example."""
    weights = tuple(5.0 * (-1) ** place for place in range(len(INPUT_NAMES)))
    state = OnlineState(learned_count=9, mean_unit_minor=1.0, weights=weights, intercept=99.0)
    model = OnlineModel(state)
    model.learn_one(feature_rows(1)[0], 1_000.0, 0.0)
    assert max(abs(weight) for weight in model.to_state().weights) <= 1.0
    assert model.to_state().intercept <= 1.5


def test_state_is_plain_json() -> None:
    """Its state survives JSON to the last bit, and learning goes on from it as if nothing had happened."""
    model = learnt(300)
    restored = OnlineModel(msgspec.json.decode(msgspec.json.encode(model.to_state()), type=OnlineState))
    row = feature_rows(1, seed=3)[0]
    for each in (model, restored):
        each.learn_one(row, 900.0, 4_000.0)
    assert restored.to_state() == model.to_state()


def test_other_inputs_are_refused() -> None:
    """A state learnt from other inputs does not load."""
    with pytest.raises(FeatureMismatch, match="inputs"):
        OnlineModel(OnlineState(input_digest="other"))
