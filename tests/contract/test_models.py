"""One suite for every model: whatever predicts a customer's value keeps these promises."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Protocol

import msgspec
import numpy as np
import pytest

from clv.errors import FeatureMismatch
from clv.features import FEATURE_NAMES
from clv.outcomes import rfc3339
from models import btyd
from models.ensemble import Ensemble, EnsembleArtifact, digest_of
from models.glm import GlmState
from models.online import OnlineModel, OnlineState
from models.prior import PRIOR, naive_minor
from models.scorer import SnapshotScorer
from models.snapshot import MEMBERS, ScorerSnapshot
from models.training import Learner
from tests.unit.models.histories import (
    DAY_MS,
    START_MS,
    absurd_rows,
    example,
    example_arrays,
    feature_rows,
    values_of,
    windows,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from clv.ports import Floats

LEARNT_AT_MS = START_MS + 1_000
LONG_AGO_MS = START_MS - 9_000 * DAY_MS


class Predict(Protocol):
    """What the suite asks of a model: a value for each row."""

    def __call__(self, rows: Floats) -> Floats:
        """Predict (n,) from (n, len(FEATURE_NAMES))."""
        ...


def base_of(rows: Floats) -> Floats:
    """Return the prior's expectation, the base that learners are given here."""
    return btyd.answer(PRIOR, btyd.histories_of(rows), horizon_days=90).value_minor


@cache
def taught() -> tuple[Learner, bytes]:
    """Return a learner with all models, each of which has shown itself, and its ensemble's bytes."""
    learner = Learner(90)
    examples = example_arrays(800)
    learner.refit_btyd(btyd.histories_of(examples.features))
    assert learner.refit_glm(windows(200), START_MS)
    learner.learn(msgspec.structs.replace(example(examples.features[0], 0.0), as_of=rfc3339(LONG_AGO_MS)))
    for row, value in zip(examples.features, examples.value_minor, strict=True):
        said = example(row, value, clv=2_500.0, btyd=2_500.0, glm=2_490.0, online=2_520.0, naive=2_600.0)
        learner.learn(msgspec.structs.replace(said, ensemble_minor=2_510.0))
    return learner, learner.refit_ensemble(examples)


def prior(*, restored: bool = False) -> Predict:
    """Return the prior; it has no state beyond its constants."""
    params = msgspec.json.decode(msgspec.json.encode(PRIOR), type=btyd.BtydParams) if restored else PRIOR
    return lambda rows: btyd.answer(params, btyd.histories_of(rows), horizon_days=90).value_minor


def naive(*, restored: bool = False) -> Predict:
    """Return the yardstick, which knows nothing."""
    return lambda rows: naive_minor(rows, horizon_days=90)


def base(*, restored: bool = False) -> Predict:
    """Return the fitted base."""
    params = taught()[0].btyd
    assert params is not None
    if restored:
        params = msgspec.json.decode(msgspec.json.encode(params), type=btyd.BtydParams)
    return lambda rows: btyd.answer(params, btyd.histories_of(rows), horizon_days=90).value_minor


def regression(*, restored: bool = False) -> Predict:
    """Return the windowed regression."""
    state = taught()[0].glm
    assert state is not None
    if restored:
        state = msgspec.json.decode(msgspec.json.encode(state), type=GlmState)
    return lambda rows: state.predict(rows, btyd.answer(PRIOR, btyd.histories_of(rows), horizon_days=90))


def online(*, restored: bool = False) -> Predict:
    """Return an online model that has learnt."""
    model, rows = OnlineModel(), feature_rows(400)
    for row, value in zip(rows, values_of(rows), strict=True):
        model.learn_one(row, 2_000.0, float(value))
    state = model.to_state()
    if restored:
        state = OnlineModel(msgspec.json.decode(msgspec.json.encode(state), type=OnlineState)).to_state()
    return lambda rows: state.predict(rows, base_of(rows))


def online_unlearnt(*, restored: bool = False) -> Predict:
    """Return an online model that has learnt nothing."""
    return lambda rows: OnlineModel().to_state().predict(rows, base_of(rows))


def ensemble(*, restored: bool = False) -> Predict:
    """Return the batch ensemble."""
    blob = taught()[1]
    loaded = Ensemble(bytes(blob), digest_of(blob)) if restored else Ensemble(blob)
    return lambda rows: loaded.predict(rows, base_of(rows))


def scorer(*, restored: bool = False) -> Predict:
    """Return the scorer with all models, blended."""
    learner, blob = taught()
    snapshot = msgspec.structs.replace(
        Learner.from_state(learner.to_state(), horizon_days=90).snapshot(LEARNT_AT_MS), champion="blend"
    ).named()
    if restored:
        snapshot = ScorerSnapshot.from_bytes(snapshot.to_bytes())
    assert set(snapshot.weights) == set(MEMBERS)
    assert all(weight > 0.05 for weight in snapshot.weights.values())
    loaded = SnapshotScorer(90).add(snapshot, Ensemble(blob))
    return lambda rows: loaded.score(rows, np.full(len(rows), LEARNT_AT_MS, dtype=np.int64)).clv


def scorer_unlearnt(*, restored: bool = False) -> Predict:
    """Return the scorer before any snapshot."""
    return lambda rows: SnapshotScorer(90).score(rows, np.full(len(rows), LEARNT_AT_MS, dtype=np.int64)).clv


MODELS = (prior, naive, base, regression, online, online_unlearnt, ensemble, scorer, scorer_unlearnt)
each_model = pytest.mark.parametrize("build", MODELS, ids=lambda build: build.__name__)


@each_model
def test_answers_are_finite_and_not_negative(build: Callable[..., Predict]) -> None:
    """Usual and absurd rows alike get a finite answer that is not negative, learnt or not."""
    predicted = build()(np.vstack([feature_rows(100), absurd_rows()]))
    assert predicted.shape == (106,)
    assert ((predicted >= 0) & (predicted <= btyd.MAX_PREDICTION_MINOR)).all()


@each_model
def test_restored_state_gives_the_same_answer(build: Callable[..., Predict]) -> None:
    """What was written and read back answers the same, to the last bit."""
    rows = feature_rows(100, seed=2)
    assert build(restored=True)(rows).tolist() == build()(rows).tolist()


@each_model
def test_the_same_learning_gives_the_same_answer(build: Callable[..., Predict]) -> None:
    """Built twice from the same examples, a model answers the same."""
    rows = feature_rows(60, seed=3)
    assert build()(rows).tolist() == build()(rows).tolist()


@each_model
def test_input_is_left_alone(build: Callable[..., Predict]) -> None:
    """Scoring changes none of the caller's numbers."""
    rows = feature_rows(30, seed=4)
    before = rows.copy()
    build()(rows)
    assert rows.tolist() == before.tolist()


@each_model
def test_a_row_depends_on_itself_alone(build: Callable[..., Predict]) -> None:
    """A batch of 500 equals 500 batches of one, bit for bit, and any order of its rows."""
    rows, predict = feature_rows(500, seed=5), build()
    whole = predict(rows).tolist()
    assert [float(predict(rows[i : i + 1])[0]) for i in range(500)] == whole
    assert predict(rows[::-1])[::-1].tolist() == whole


@each_model
def test_no_rows_give_no_answers(build: Callable[..., Predict]) -> None:
    """An empty batch is answered by an empty one."""
    assert build()(np.zeros((0, len(FEATURE_NAMES)))).tolist() == []


def test_each_member_answers_as_it_does_alone() -> None:
    """In the scorer's batch the learners stand on the regression, each with the support that it knows."""
    learner, blob = taught()
    snapshot = Learner.from_state(learner.to_state(), horizon_days=90).snapshot(LEARNT_AT_MS)
    rows = feature_rows(200, seed=7)
    batch = SnapshotScorer(90).add(snapshot, Ensemble(blob)).score(rows, np.full(200, LEARNT_AT_MS, dtype=np.int64))
    assert snapshot.btyd is not None
    assert snapshot.glm is not None
    assert snapshot.online is not None
    answer = btyd.answer(snapshot.btyd, btyd.histories_of(rows), horizon_days=90)
    expected = snapshot.glm.predict(rows, answer)
    assert batch.btyd.tolist() == answer.value_minor.tolist()
    assert batch.glm.tolist() == expected.tolist()
    assert batch.online.tolist() == snapshot.online.predict(rows, expected, snapshot.glm.support_minor).tolist()
    assert batch.ensemble.tolist() == Ensemble(blob).predict(rows, expected, snapshot.glm.support_minor).tolist()
    if snapshot.champion == "blend":
        mixed = sum(getattr(batch, name) * weight for name, weight in snapshot.weights.items())
        np.testing.assert_allclose(batch.clv, mixed, rtol=1e-12)
    else:
        assert batch.clv.tolist() == getattr(batch, snapshot.champion).tolist()


def test_every_field_of_a_batch_depends_on_its_row_alone() -> None:
    """Interval, year, churn, next order and single models too are the same in batches of 500 and of one."""
    learner, blob = taught()
    snapshot = Learner.from_state(learner.to_state(), horizon_days=90).snapshot(LEARNT_AT_MS)
    held = SnapshotScorer(90).add(snapshot, Ensemble(blob))
    rows, moments = feature_rows(500, seed=6), LEARNT_AT_MS + np.arange(-250, 250, dtype=np.int64)
    whole = held.score(rows, moments)
    singles = [held.score(rows[i : i + 1], moments[i : i + 1]) for i in range(500)]
    for name in whole.__struct_fields__:
        if name not in ("versions", "custom"):
            assert [getattr(single, name)[0].item() for single in singles] == getattr(whole, name).tolist(), name
    assert (whole.lower <= whole.clv).all()
    assert (whole.clv <= whole.upper).all()
    assert ((whole.churn_probability >= 0) & (whole.churn_probability <= 1)).all()


def test_other_features_are_refused_by_every_model() -> None:
    """Whoever was learnt from other features says so instead of answering."""
    learner, blob = taught()
    artifact = msgspec.structs.replace(msgspec.msgpack.decode(blob, type=EnsembleArtifact), input_digest="other")
    snapshot = Learner.from_state(learner.to_state(), horizon_days=90).snapshot(LEARNT_AT_MS)
    assert snapshot.glm is not None
    foreign = msgspec.structs.replace(snapshot.glm, input_digest="other")
    rows = feature_rows(2)
    refusals: tuple[Callable[[], object], ...] = (
        lambda: foreign.predict(rows, btyd.answer(PRIOR, btyd.histories_of(rows), horizon_days=90)),
        lambda: OnlineModel(OnlineState(input_digest="other")),
        lambda: Ensemble(msgspec.msgpack.encode(artifact)),
        lambda: SnapshotScorer(90).add(msgspec.structs.replace(snapshot, feature_digest="other")),
        lambda: SnapshotScorer(90).score(np.zeros((2, 5)), np.zeros(2, dtype=np.int64)),
    )
    for refused in refusals:
        with pytest.raises(FeatureMismatch):
            refused()
