"""Custom models in competition: judged by what they said before they could know, answering once they have won."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.tree import DecisionTreeRegressor

from clv.errors import IncompatibleArtifact
from clv.features import FEATURE_INDEX
from models import btyd
from models.batch import ExampleArrays
from models.challengers import Challengers, Fit
from models.custom import CustomModel, Found
from models.ensemble import Ensemble, digest_of
from models.evaluation import MIN_EXAMPLES
from models.onnx_export import checked_export
from models.relative import INPUT_NAMES
from models.scorer import SnapshotScorer
from models.snapshot import BLEND
from models.training import Learner
from tests.unit.models.histories import DAY_MS, START_MS, example, feature_rows, windows

if TYPE_CHECKING:
    from collections.abc import Callable

    from clv.ports import Floats
    from models.snapshot import ScorerSnapshot

RETURNS = FEATURE_INDEX["return_rate"]


def world(count: int, seed: int = 0) -> tuple[Floats, Floats]:
    """Return features and values: those who send things back bring nearly nothing, the others what BTYD expects."""
    rng = np.random.default_rng(seed)
    rows = feature_rows(count, seed)
    rows[:, RETURNS] = rng.random(count) < 0.5
    expected = btyd.answer(BASE, btyd.histories_of(rows), horizon_days=90).value_minor
    return rows, np.round(expected * np.where(rows[:, RETURNS] > 0.0, 0.3, 1.0) * rng.gamma(4.0, 0.25, count))


BASE = btyd.fit(btyd.histories_of(feature_rows(600)))


class Knowing(DecisionTreeRegressor):
    """Looks at returns alone, and so knows all that there is to know."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:  # noqa: N803  # scikit-learn's name
        """Learn the two means."""
        seen = np.zeros_like(X)
        column = INPUT_NAMES.index("return_rate")
        seen[:, column] = X[:, column]
        return super().fit(seen, y, sample_weight)

    def to_onnx(self) -> bytes:
        """Return the tree itself."""
        plain = DecisionTreeRegressor()
        plain.__dict__.update(self.__dict__)
        return checked_export(plain, np.zeros((1, len(INPUT_NAMES)), dtype=np.float32))


class Wrong(LinearRegression):
    """Says three times as much whatever it has learnt."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:  # noqa: N803  # scikit-learn's name
        """Learn the wrong thing."""
        return super().fit(X, np.full(len(y), 3.0))

    def to_onnx(self) -> bytes:
        """Return the plain regression."""
        plain = LinearRegression()
        plain.__dict__.update(self.__dict__)
        return checked_export(plain, np.zeros((1, len(INPUT_NAMES)), dtype=np.float32))


def broken() -> Any:
    """Fail."""
    raise OSError("no such model")


class Trial:
    """A learner with custom models, and the ensembles that it has published."""

    def __init__(self, **factories: Callable[[], Any]) -> None:
        models = [CustomModel(Found(name, "", made), lambda _event: None) for name, made in factories.items()]
        self.blobs: dict[str, bytes] = {}
        self.learner = Learner(90, challengers=Challengers(models, self.load))
        self.learner.btyd = BASE

    def load(self, digest: str) -> bytes:
        """Return a published ensemble."""
        if digest not in self.blobs:
            raise IncompatibleArtifact("gone")
        return self.blobs[digest]

    def refit(self, day: int) -> ScorerSnapshot:
        """Fit everything to the same world, and publish."""
        rows, values = world(900, seed=day)
        moments = START_MS + np.arange(900, dtype=np.int64)
        blob = self.learner.refit_ensemble(ExampleArrays(rows, values, moments))
        self.blobs[digest_of(blob)] = blob
        return self.learner.snapshot(START_MS + day * DAY_MS)

    def learn(self, count: int, *, day: int) -> None:
        """Learn examples that were scored on a day, by BTYD alone."""
        rows, values = world(count, seed=1_000 + day)
        expected = btyd.answer(BASE, btyd.histories_of(rows), horizon_days=90).value_minor
        for row, value, base in zip(rows, values, expected.tolist(), strict=True):
            self.learner.learn(example(row, value, day=day, clv=base, btyd=base, naive=base))

    def restart(self) -> None:
        """Go on as another process would that has no custom models installed."""
        state = self.learner.to_state()
        self.learner = Learner.from_state(state, horizon_days=90, challengers=Challengers((), self.load))


def test_one_that_knows_more_comes_to_answer() -> None:
    """It has no part before it has shown itself; then it is judged better than BTYD, and leads the blend or answers."""
    trial = Trial(knowing=Knowing)
    first = trial.refit(0)
    assert first.custom == ("knowing",)
    assert "knowing" not in first.weights
    trial.learn(1, day=0)
    trial.learn(3 * MIN_EXAMPLES, day=900)
    last = trial.learner.snapshot(START_MS + 990 * DAY_MS)
    errors = trial.learner.relative_errors()
    assert errors["knowing"] == pytest.approx(0.5, abs=0.25)
    assert last.champion in ("knowing", BLEND)
    assert max(last.weights, key=lambda name: last.weights[name]) == "knowing"


def test_one_that_is_wrong_never_does() -> None:
    """However long it competes: it is shown beside the others, and has next to no part in the blend."""
    trial = Trial(wrong=Wrong, broken=broken)
    trial.refit(0)
    trial.learn(1, day=0)
    trial.learn(3 * MIN_EXAMPLES, day=900)
    last = trial.learner.snapshot(START_MS + 990 * DAY_MS)
    assert last.custom == ("wrong",)
    assert trial.learner.metrics()["wrong"].ratio > 2.0
    assert last.weights["wrong"] < 0.001
    assert last.champion not in ("wrong", "broken")


def test_it_is_judged_by_the_fit_of_the_example_s_own_time() -> None:
    """Examples scored before its first fit say nothing of it; later ones are asked of the newest fit until then."""
    trial = Trial(knowing=Knowing)
    trial.refit(10)
    trial.learn(5, day=9)
    assert "knowing" not in trial.learner.metrics()
    first = trial.learner.ensemble_digest
    trial.refit(20)
    assert [fit.digest for fit in trial.learner.fits] == [first, trial.learner.ensemble_digest]
    row, value = (part[0] for part in world(1))
    base = 900.0
    trial.learner.learn(example(row, value, day=15, clv=base, btyd=base, glm=base, naive=base))
    said = Ensemble(trial.blobs[first]).predict_custom(row[None, :], np.array([base]))["knowing"][0]
    assert trial.learner.metrics()["knowing"].mae == pytest.approx(abs(said - value))


def test_earlier_fits_outlive_a_restart() -> None:
    """Judgement goes on from the stored ensembles, and the model answers on, installed or not."""
    trial, other = Trial(knowing=Knowing), Trial(knowing=Knowing)
    for one in (trial, other):
        one.refit(0)
        one.learn(300, day=1)
    trial.restart()
    for one in (trial, other):
        one.learn(300, day=2)
    assert trial.learner.metrics() == other.learner.metrics()
    assert "knowing" in trial.learner.candidates()


def test_a_fit_that_is_gone_costs_its_judgement_only() -> None:
    """The store has lost the bytes: nothing is learned of the custom model, all else is."""
    trial = Trial(knowing=Knowing)
    trial.refit(0)
    trial.blobs.clear()
    trial.restart()
    trial.learn(5, day=1)
    assert trial.learner.metrics()["btyd"].count == 5
    assert "knowing" not in trial.learner.metrics()


def test_workers_answer_as_the_fit_did() -> None:
    """A snapshot in which a custom model is champion scores by it, from the artifact alone, row for row."""
    trial = Trial(knowing=Knowing)
    published = msgspec.structs.replace(trial.refit(0), champion="knowing").named()
    ensemble = Ensemble(trial.blobs[published.ensemble_digest], published.ensemble_digest)
    rows, _ = world(50, seed=3)
    scores = SnapshotScorer(90).add(published, ensemble).score(rows, np.full(50, START_MS + DAY_MS, dtype=np.int64))
    expected = ensemble.predict_custom(rows, scores.btyd)["knowing"]
    assert scores.custom["knowing"].tolist() == expected.tolist() == scores.clv.tolist()
    assert {version.champion for version in scores.versions[1:]} == {"knowing"}


@pytest.mark.parametrize("content", [b"no model", b""], ids=["rubbish", "empty"])
def test_one_that_cannot_be_asked_says_what_the_base_says(content: bytes) -> None:
    """A worker must not fail on a stranger's model, even as champion and in the blend."""
    trial = Trial(knowing=Knowing)
    published = trial.refit(0)
    artifact = Ensemble(trial.blobs[published.ensemble_digest]).artifact
    blob = msgspec.msgpack.encode(msgspec.structs.replace(artifact, custom={"knowing": content}))
    rows, moments = world(20)[0], np.full(20, START_MS + DAY_MS, dtype=np.int64)
    for champion in ("knowing", BLEND):
        damaged = msgspec.structs.replace(
            published, ensemble_digest=digest_of(blob), champion=champion, weights={"btyd": 0.5, "knowing": 0.5}
        ).named()
        scores = SnapshotScorer(90).add(damaged, Ensemble(blob)).score(rows, moments)
        assert scores.clv.tolist() == pytest.approx(scores.btyd.tolist())


def test_one_with_other_inputs_says_about_what_the_base_says() -> None:
    """A model of another width fails at each call, which is said in the log, and counts as ratio 1."""
    narrow = LinearRegression().fit(np.zeros((4, 2), dtype=np.float32), np.ones(4))
    trial = Trial(knowing=Knowing)
    published = trial.refit(0)
    artifact = Ensemble(trial.blobs[published.ensemble_digest]).artifact
    from skl2onnx import to_onnx  # slow, and for this test alone

    model = to_onnx(narrow, np.zeros((1, 2), dtype=np.float32)).SerializeToString()
    odd = Ensemble(msgspec.msgpack.encode(msgspec.structs.replace(artifact, custom={"odd": model})))
    rows, base = world(7)[0], np.full(7, 1_000.0)
    assert odd.predict_custom(rows, base)["odd"].tolist() == pytest.approx(
        (base + 0.15 * rows[:, FEATURE_INDEX["mean_purchase_value_minor"]] + 1.0).tolist()
    )


def test_snapshots_without_custom_models_keep_their_names() -> None:
    """What was published before there were any is still what it says it is."""
    trial = Trial()
    published = trial.refit(0)
    assert published.custom == ()
    assert b'"custom":[]' in published.to_bytes()
    assert type(published).from_bytes(published.to_bytes().replace(b'"custom":[],', b"")) == published
    assert trial.learner.fits == ()


def test_fits_are_kept_for_a_horizon() -> None:
    """Until no example that was scored under them is still to mature."""
    trial = Trial(knowing=Knowing)
    for day in range(0, 200, 28):
        trial.refit(day)
    assert [fit.since_ms for fit in trial.learner.fits] == [
        Fit(START_MS + day * DAY_MS, "").since_ms for day in (84, 112, 140, 168, 196)
    ]


def test_of_one_that_is_gone_nothing_more_is_said() -> None:
    """Not installed at the next refit, it is judged on what was scored before that, and then forgotten."""
    trial = Trial(knowing=Knowing)
    trial.refit(0)
    trial.restart()
    trial.refit(30)
    trial.learn(5, day=29)
    trial.learn(5, day=31)
    assert trial.learner.metrics()["knowing"].count == 5
    assert "knowing" not in trial.learner.candidates()
    assert [bool(fit.digest) for fit in trial.learner.fits] == [True, False]
    trial.refit(130)
    assert trial.learner.fits == ()


def test_a_blend_is_judged_by_who_is_in_it() -> None:
    """One that was in the blend and is gone has no part in what the blend would say today."""
    trial = Trial(knowing=Knowing)
    trial.refit(0)
    trial.learn(1, day=0)
    trial.learn(2 * MIN_EXAMPLES, day=900)
    assert trial.learner.snapshot(START_MS + 990 * DAY_MS).weights["knowing"] > 0.5
    trial.restart()
    trial.refit(991)
    before = trial.learner.metrics()
    row, value = (part[0] for part in world(1))
    trial.learner.learn(example(row, value, day=950, clv=900.0, btyd=900.0, naive=900.0))
    after = trial.learner.metrics()
    assert after["knowing"].count == before["knowing"].count + 1
    assert after[BLEND].count == before[BLEND].count, "of those that are left BTYD alone has shown itself"


def test_it_is_judged_with_the_fading_of_its_own_time() -> None:
    """Beyond the customers that were learnt from, judged is what a worker gave out: a correction that fades."""
    trial = Trial(knowing=Knowing)
    trial.learner.refit_glm(windows(400), START_MS + 365 * DAY_MS)
    published = trial.refit(400)
    assert published.glm
    rows, _ = world(40, seed=5)
    rows[:, FEATURE_INDEX["mean_purchase_value_minor"]] *= 1_000.0
    ensemble = Ensemble(trial.blobs[published.ensemble_digest])
    moments = np.full(40, START_MS + 401 * DAY_MS, dtype=np.int64)
    scores = SnapshotScorer(90).add(published, ensemble).score(rows, moments)
    assert scores.custom["knowing"].tolist() != ensemble.predict_custom(rows, scores.glm)["knowing"].tolist()
    restored = Learner.from_state(trial.learner.to_state(), horizon_days=90)
    challengers = Challengers((), trial.load)
    said = [
        challengers.said(restored.fits, START_MS + 401 * DAY_MS, row.tolist(), base)["knowing"]
        for row, base in zip(rows, scores.glm.tolist(), strict=True)
    ]
    assert said == scores.custom["knowing"].tolist()


def test_where_nothing_but_the_prior_answered_nothing_is_said() -> None:
    """A worker that had no models yet would have had no custom one either."""
    trial = Trial(knowing=Knowing)
    trial.refit(0)
    row, value = (part[0] for part in world(1))
    trial.learner.learn(example(row, value, day=1, clv=900.0, naive=900.0))
    assert "knowing" not in trial.learner.metrics()


def test_an_artifact_without_custom_models_has_the_bytes_of_before() -> None:
    """Digests, and with them the versions of all that was published, do not change where nothing is installed."""
    trial = Trial()
    blob = trial.blobs[trial.refit(0).ensemble_digest]
    assert set(msgspec.msgpack.decode(blob)) == {
        *("format", "input_digest", "weights", "held_out_deviance", "example_count", "btyd_version", "members")
    }
