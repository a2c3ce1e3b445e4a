"""The ensemble: training, export, and what a loader refuses."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingRegressor

from clv.errors import FeatureMismatch, IncompatibleArtifact, NotTrained
from models import batch, btyd, relative
from models.batch import ExampleArrays
from models.ensemble import Ensemble, EnsembleArtifact, digest_of, session_of, tree_inputs
from models.onnx_export import checked_export
from models.prior import PRIOR
from models.relative import INPUT_NAMES
from tests.unit.models.histories import absurd_rows, example_arrays, feature_rows


@pytest.fixture(scope="module")
def blob() -> bytes:
    """An ensemble trained on 1,500 examples."""
    return batch.train(example_arrays(1_500), PRIOR, horizon_days=90)


def changed(blob: bytes, **fields: object) -> bytes:
    """Return the artifact with some fields replaced."""
    artifact = msgspec.msgpack.decode(blob, type=EnsembleArtifact)
    return msgspec.msgpack.encode(msgspec.structs.replace(artifact, **fields))


def test_weights_add_up_and_follow_held_out_error(blob: bytes) -> None:
    """Both members have a say, adding up to one, the better one the greater."""
    artifact = Ensemble(blob).artifact
    better = min(artifact.held_out_deviance, key=lambda name: artifact.held_out_deviance[name])
    assert sum(artifact.weights.values()) == pytest.approx(1.0)
    assert max(artifact.weights, key=lambda name: artifact.weights[name]) == better
    assert set(artifact.members) == {"forest", "boosting"}


def test_it_beats_its_base_where_the_base_is_wrong(blob: bytes) -> None:
    """On fresh examples of a world that the prior does not know, the ensemble's squared error is lower."""
    fresh = example_arrays(1_000, seed=50)
    base = btyd.answer(PRIOR, btyd.histories_of(fresh.features), horizon_days=90).value_minor
    predicted = Ensemble(blob).predict(fresh.features, base)
    assert ((predicted - fresh.value_minor) ** 2).mean() < 0.95 * ((base - fresh.value_minor) ** 2).mean()


def test_rows_do_not_depend_on_the_batch(blob: bytes) -> None:
    """Batches of 1, 7 and 500 give the same bits."""
    ensemble, rows = Ensemble(blob), feature_rows(500, seed=4)
    base = np.linspace(0.001, 90_000.0, 500)
    whole = ensemble.predict(rows, base).tolist()
    for size in (1, 7):
        parts = [ensemble.predict(rows[i : i + size], base[i : i + size]) for i in range(0, 500, size)]
        assert np.concatenate(parts).tolist() == whole


def test_corrections_fade_beyond_the_support(blob: bytes) -> None:
    """At four times the support half of the correction counts, in logs; up to it all of it does."""
    ensemble, rows, base = Ensemble(blob), feature_rows(100, seed=4), np.full(100, 3_000.0)
    unit = relative.unit_minor(rows, base)
    whole = np.log(ensemble.predict(rows, base) / unit)
    assert np.abs(whole).max() > 0.1
    assert ensemble.predict(rows, base, float(unit.max())).tolist() == ensemble.predict(rows, base).tolist()
    for place in range(100):
        faded = ensemble.predict(rows, base, float(unit[place]) / 4.0)
        assert np.log(faded[place] / unit[place]) == pytest.approx(whole[place] / 2.0, abs=1e-9)


def test_absurd_rows_are_bounded(blob: bytes) -> None:
    """Rows beyond all reason get finite, positive answers."""
    predicted = Ensemble(blob).predict(absurd_rows(), np.array([0.0, 1e14, 1.0, 1e-3, 1e14, 1e300]))
    assert ((predicted > 0) & (predicted <= btyd.MAX_PREDICTION_MINOR)).all()


def test_inputs_lie_on_a_grid_that_float32_holds_exactly() -> None:
    """Midpoints between inputs, where trees split, are the same in float32 and float64."""
    rows = tree_inputs(feature_rows(300), np.linspace(1.0, 1e14, 300)).astype(np.float64)
    midpoints = (rows[:-1] + rows[1:]) / 2
    assert (midpoints.astype(np.float32).astype(np.float64) == midpoints).all()


def test_the_same_seed_gives_the_same_predictions(blob: bytes) -> None:
    """Training again on the same examples predicts the same."""
    rows = feature_rows(50, seed=9)
    again = batch.train(example_arrays(1_500), PRIOR, horizon_days=90)
    assert Ensemble(again).predict(rows, rows[:, 5]).tolist() == Ensemble(blob).predict(rows, rows[:, 5]).tolist()


def test_sampling_bounds_the_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bound on examples holds, and leaves them in time order."""
    monkeypatch.setattr(batch, "MAX_EXAMPLES", 300)
    artifact = Ensemble(batch.train(example_arrays(900), PRIOR, horizon_days=90)).artifact
    assert artifact.example_count == 300


def test_too_few_examples_are_refused() -> None:
    """Below the minimum nothing is trained, and the error says how many are needed."""
    with pytest.raises(NotTrained, match="200"):
        batch.train(example_arrays(199), PRIOR, horizon_days=90)


@pytest.mark.parametrize("answer", [1.5 * 1.0002, 1.5 / 1.0002, 7.0, np.nan], ids=["above", "below", "far", "nan"])
def test_an_export_that_differs_is_refused(answer: float) -> None:
    """A model whose ONNX twin answers otherwise, if only by two in ten thousand, is not exported."""
    rows = np.zeros((4, len(INPUT_NAMES)), dtype=np.float32)
    twin = GradientBoostingRegressor(n_estimators=2, random_state=0).fit(rows, np.arange(4.0))
    assert checked_export(twin, rows)
    twin.predict = lambda rows: np.full(len(rows), answer)
    with pytest.raises(IncompatibleArtifact, match="differs"):
        checked_export(twin, rows)


def test_an_export_next_to_zero_may_differ_by_what_float32_loses() -> None:
    """Where ONNX's sum cancels to nearly nothing, its rounding is no other answer: it is raised to the least factor."""
    rows = np.zeros((4, len(INPUT_NAMES)), dtype=np.float32)
    twin = GradientBoostingRegressor(n_estimators=2, random_state=0).fit(rows, np.zeros(4))
    twin.predict = lambda rows: np.full(len(rows), 1e-6)
    assert checked_export(twin, rows)
    twin.predict = lambda rows: np.full(len(rows), 1e-3)
    with pytest.raises(IncompatibleArtifact, match="differs"):
        checked_export(twin, rows)


def test_onnx_answers_as_scikit_learn_does_at_thresholds() -> None:
    """Rows that lie on the trees' own split points get scikit-learn's answer, to rounding."""
    examples = example_arrays(900)
    unit = np.full(900, 2_000.0)
    rows = tree_inputs(examples.features, unit)
    for model in batch._new_models(0).values():
        model.fit(rows, relative.ratio(examples.value_minor, unit, examples.features))
        trees = [tree.tree_ for tree in np.ravel(model.estimators_)]
        at_thresholds = np.repeat(rows[:1], sum(len(tree.threshold) for tree in trees), axis=0)
        splits = [(f, t) for tree in trees for f, t in zip(tree.feature, tree.threshold, strict=True)]
        for place, (feature, threshold) in enumerate(splits):
            at_thresholds[place, max(feature, 0)] = np.float32(threshold)
        given = session_of(checked_export(model, rows)).run(None, {"inputs": at_thresholds})[0].ravel()
        np.testing.assert_allclose(given, model.predict(at_thresholds), rtol=1e-5, atol=1e-5)


def test_other_bytes_than_the_digest_are_refused(blob: bytes) -> None:
    """A blob that does not match its digest does not load."""
    assert Ensemble(blob, digest_of(blob)).digest == digest_of(blob)
    with pytest.raises(IncompatibleArtifact, match="digest"):
        Ensemble(blob + b"\x00", digest_of(blob))


@pytest.mark.parametrize(
    ("fields", "error", "match"),
    [
        ({"format": "clv.ensemble.v0"}, IncompatibleArtifact, "format"),
        ({"input_digest": "other"}, FeatureMismatch, "inputs"),
        ({"weights": {"forest": 1.0}}, IncompatibleArtifact, "members"),
        ({"members": {"forest": b"x", "boosting": b"y"}}, IncompatibleArtifact, "ONNX"),
    ],
    ids=["format", "inputs", "weights", "onnx"],
)
def test_artifacts_of_another_kind_are_refused(
    blob: bytes, fields: dict[str, object], error: type[Exception], match: str
) -> None:
    """Another format, other inputs, missing members, unreadable models: each is refused by name."""
    with pytest.raises(error, match=match):
        Ensemble(changed(blob, **fields))


@pytest.mark.parametrize("data", [b"", b"rubbish", b"\x80"], ids=["empty", "rubbish", "empty-map"])
def test_rubbish_is_refused(data: bytes) -> None:
    """Bytes that are no artifact at all are refused."""
    with pytest.raises(IncompatibleArtifact):
        Ensemble(data)


def test_training_leaves_its_input_alone() -> None:
    """The caller's arrays are as they were."""
    examples = example_arrays(250)
    before = ExampleArrays(examples.features.copy(), examples.value_minor.copy(), examples.as_of_ms.copy())
    batch.train(examples, PRIOR, horizon_days=90)
    assert [column.tolist() for column in examples] == [column.tolist() for column in before]
