"""The learner: what it judges, when it may publish, where it goes on."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest

from clv.errors import FeatureMismatch, IncompatibleArtifact, NotTrained
from clv.features import FEATURE_INDEX
from models import btyd
from models.prior import PRIOR
from models.snapshot import ScorerSnapshot
from models.training import MIN_ONLINE_EXAMPLES, Learner, LearnerState
from tests.unit.models.histories import (
    DAY_MS,
    START_MS,
    example,
    example_arrays,
    feature_rows,
    values_of,
    windows,
)


def taught(count: int, *, fitted: bool = True) -> Learner:
    """Return a learner with a base, if so, and ``count`` examples learnt."""
    learner = Learner(90)
    rows = feature_rows(max(count, 200))
    if fitted:
        learner.refit_btyd(btyd.histories_of(rows))
    for row, value in zip(rows[:count], values_of(rows)[:count], strict=True):
        learner.learn(example(row, value, clv=3_000.0, btyd=3_000.0, naive=9_000.0))
    return learner


def mean_unit_of(learner: Learner) -> float:
    """Return the mean unit of what the online model has learnt."""
    return msgspec.json.decode(learner.to_state(), type=LearnerState).online.mean_unit_minor


def test_an_example_is_judged_by_what_was_said_then() -> None:
    """Errors come from the predictions that the example carries, not from what the learner knows now."""
    learner = Learner(90)
    given = example(feature_rows(1)[0], 1_000.0, clv=900.0, btyd=400.0, glm=800.0, online=600.0, naive=5_000.0)
    learner.learn(msgspec.structs.replace(given, ensemble_minor=1_100.0))
    mae = {name: metrics.mae for name, metrics in learner.metrics().items()}
    assert mae.pop("blend") == pytest.approx(1_000.0 - (400.0 + 800.0 * math.exp(2)) / (1.0 + math.exp(2)))
    assert mae == {"btyd": 600.0, "glm": 200.0, "online": 400.0, "ensemble": 100.0, "clv": 100.0, "naive": 4_000.0}


def test_a_model_alone_makes_no_blend() -> None:
    """Where nobody but the base may have a part, there is no blend to judge or to choose."""
    learner = taught(MIN_ONLINE_EXAMPLES)
    learner.learn(example(feature_rows(1)[0], 1_000.0, clv=900.0, btyd=400.0, online=600.0, naive=5_000.0))
    assert "blend" not in learner.metrics()
    snapshot = learner.snapshot(START_MS)
    assert (snapshot.champion, snapshot.weights) == ("btyd", {"btyd": 1.0})


def test_a_model_that_did_not_answer_is_not_judged() -> None:
    """Examples scored by the prior count for the score and the yardstick alone."""
    learner = Learner(90)
    learner.learn(example(feature_rows(1)[0], 0.0, clv=900.0, naive=5_000.0))
    assert set(learner.metrics()) == {"clv", "naive"}


@pytest.mark.parametrize("said", [5_000.0, 0.0], ids=["base", "prior"])
def test_where_the_regression_said_nothing_the_present_base_counts(said: float) -> None:
    """Else the online model would learn a correction that is the regression's to make."""
    learner, rows = Learner(90), feature_rows(1)
    learner.learn(example(rows[0], 100.0, clv=900.0, btyd=said, naive=9.0))
    base = btyd.answer(PRIOR, btyd.histories_of(rows), horizon_days=90).value_minor[0]
    assert mean_unit_of(learner) == pytest.approx(base + 0.15 * rows[0, FEATURE_INDEX["mean_purchase_value_minor"]] + 1)


def test_the_online_model_learns_relative_to_the_regression_where_it_answered() -> None:
    """The regression's prediction of that moment goes before the base's."""
    learner, rows = Learner(90), feature_rows(1)
    learner.learn(example(rows[0], 100.0, clv=900.0, btyd=5_000.0, glm=7_000.0, naive=9.0))
    unit = 7_000.0 + 0.15 * rows[0, FEATURE_INDEX["mean_purchase_value_minor"]] + 1
    assert mean_unit_of(learner) == pytest.approx(unit)


def test_before_a_base_the_prior_answers() -> None:
    """Without a fitted base no member is published, whatever was learnt."""
    snapshot = taught(MIN_ONLINE_EXAMPLES, fitted=False).snapshot(START_MS)
    assert (snapshot.champion, snapshot.btyd, snapshot.online) == ("prior", None, None)


def test_online_is_published_from_a_minimum_on() -> None:
    """The online model shadows unseen until it has learnt enough, and has no part in the blend before it is proven."""
    assert taught(MIN_ONLINE_EXAMPLES - 1).snapshot(START_MS).online is None
    snapshot = taught(MIN_ONLINE_EXAMPLES).snapshot(START_MS)
    assert snapshot.online is not None
    assert snapshot.weights == {"btyd": 1.0}


def test_a_better_challenger_becomes_champion() -> None:
    """Five hundred recent examples on which the online model was better make it answer, and lead the blend."""
    learner = taught(1)
    for number, row in enumerate(feature_rows(560)):
        if number == 450:
            assert learner.snapshot(START_MS).champion == "btyd"
        learner.learn(example(row, 2_000.0, day=9_000, clv=6_000.0, btyd=6_000.0, online=2_200.0, naive=1.0))
    snapshot = learner.snapshot(START_MS)
    assert snapshot.champion == "online"
    assert snapshot.weights["online"] > 0.99


def test_old_predictions_say_little_of_a_challenger() -> None:
    """Examples predicted when the models knew next to nothing make no champion, however many they are."""
    learner = taught(1)
    for row in feature_rows(900):
        learner.learn(example(row, 2_000.0, day=30, clv=6_000.0, btyd=6_000.0, online=2_200.0, naive=1.0))
    assert learner.snapshot(START_MS).champion == "btyd"


def test_the_regression_answers_as_soon_as_it_is_fitted() -> None:
    """Fitted to windows it joins the base in the blend; where windows become too few, it is gone."""
    learner = taught(0)
    assert learner.refit_glm(windows(150), START_MS + 365 * DAY_MS) is not None
    snapshot = learner.snapshot(START_MS)
    assert snapshot.champion == "blend"
    assert snapshot.weights["glm"] == pytest.approx(math.exp(2) / (1.0 + math.exp(2)))
    assert learner.refit_glm(windows(20), START_MS + 365 * DAY_MS) is None
    assert (learner.snapshot(START_MS).champion, learner.snapshot(START_MS).glm) == ("btyd", None)


def test_without_a_base_there_is_no_regression() -> None:
    """It corrects the base, so nothing is fitted before that."""
    assert Learner(90).refit_glm(windows(150), START_MS + 365 * DAY_MS) is None


def test_a_pinned_candidate_is_champion_whatever_its_error() -> None:
    """As long as it is there; a pin on one that is not leaves the choice to the error."""
    learner = taught(0)
    for row in feature_rows(500):
        learner.learn(example(row, 2_000.0, clv=6_000.0, btyd=6_000.0, online=400.0, naive=1.0))
    assert learner.candidates() == ("btyd", "online")  # a blend of what has not shown itself is the base alone
    for row in feature_rows(900):
        learner.learn(example(row, 2_000.0, day=14_600, clv=6_000.0, btyd=6_000.0, online=2_000.0, naive=1.0))
    assert learner.candidates() == ("btyd", "online", "blend")
    assert learner.relative_errors()["btyd"] == 1.0
    learner.pinned = "btyd"
    assert learner.snapshot(START_MS).champion == "btyd"
    learner.pinned = "ensemble"
    assert learner.snapshot(START_MS).champion == "online"


def test_an_older_snapshot_comes_back_under_a_new_number() -> None:
    """Its content is the old one's but for number and time, and the learner does not change."""
    learner = taught(320)
    old = learner.snapshot(START_MS)
    learner.snapshot(START_MS + 1)
    state = msgspec.json.decode(learner.to_state(), type=LearnerState)
    again = learner.republish(old, START_MS + 2)
    assert (again.sequence, again.learned_through_ms) == (3, START_MS + 2)
    assert ScorerSnapshot.from_bytes(again.to_bytes()) == again
    changed = {"sequence": old.sequence, "learned_through_ms": START_MS, "version": old.version}
    assert msgspec.structs.replace(again, **changed) == old
    after = msgspec.json.decode(learner.to_state(), type=LearnerState)
    assert msgspec.structs.replace(after, sequence=state.sequence) == state


def test_versions_are_a_function_of_what_was_learnt() -> None:
    """Two learners taught alike publish the same bytes; a further one has another version."""
    one, two = taught(320), taught(320)
    first = one.snapshot(START_MS)
    assert first.to_bytes() == two.snapshot(START_MS).to_bytes()
    assert one.snapshot(START_MS).version != first.version


def test_state_goes_on_where_it_stopped() -> None:
    """A restored learner, taught one more example, publishes what the original does."""
    learner = taught(320)
    restored = Learner.from_state(learner.to_state(), horizon_days=90)
    for each in (learner, restored):
        each.learn(example(feature_rows(1, seed=5)[0], 700.0, clv=1.0, btyd=3_000.0, naive=2.0))
    assert restored.to_state() == learner.to_state()
    assert restored.snapshot(START_MS).to_bytes() == learner.snapshot(START_MS).to_bytes()


def test_examples_of_another_kind_are_refused_and_not_learnt() -> None:
    """Other features or another horizon are refused before anything changes."""
    learner, given = Learner(90), example(feature_rows(1)[0], 1.0)
    for wrong in ({"feature_digest": "other"}, {"horizon_days": 30}):
        with pytest.raises(FeatureMismatch):
            learner.learn(msgspec.structs.replace(given, **wrong))
    assert learner.to_state() == Learner(90).to_state()


def test_states_of_another_kind_are_refused() -> None:
    """Rubbish, another format, another horizon do not load."""
    state = Learner(90).to_state()
    for data in (b"", b"rubbish", b"{}", state.replace(b"clv.learner.v1", b"clv.learner.v0")):
        with pytest.raises(IncompatibleArtifact):
            Learner.from_state(data, horizon_days=90)
    with pytest.raises(FeatureMismatch):
        Learner.from_state(state, horizon_days=30)


def test_an_ensemble_needs_a_base_and_examples() -> None:
    """Without either, training is refused and the digest stays empty."""
    learner = Learner(90)
    with pytest.raises(NotTrained, match="BTYD"):
        learner.refit_ensemble(example_arrays(300))
    learner.refit_btyd(btyd.histories_of(feature_rows(200)))
    with pytest.raises(NotTrained, match="200"):
        learner.refit_ensemble(example_arrays(20))
    assert learner.ensemble_digest == ""


@pytest.mark.parametrize("change", ["version", "format", "feature_digest", "horizon_days"])
def test_changed_snapshots_are_refused(change: str) -> None:
    """A snapshot whose bytes were tampered with, or of another kind, does not load."""
    snapshot = taught(10).snapshot(START_MS)
    assert ScorerSnapshot.from_bytes(snapshot.to_bytes()) == snapshot
    tampered = msgspec.structs.replace(snapshot, **{change: 30 if change == "horizon_days" else "other"})
    with pytest.raises((IncompatibleArtifact, FeatureMismatch)):
        ScorerSnapshot.from_bytes(tampered.to_bytes())


def test_latest_time_is_as_given() -> None:
    """The snapshot carries the caller's event time, to the millisecond."""
    assert np.int64(START_MS + 1) == taught(1).snapshot(START_MS + 1).learned_through_ms
