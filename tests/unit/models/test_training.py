"""The learner: what it judges, when it may publish, where it goes on."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from clv.errors import FeatureMismatch, IncompatibleArtifact, NotTrained
from clv.features import FEATURE_INDEX
from models import btyd
from models.prior import PRIOR
from models.snapshot import ScorerSnapshot
from models.training import MIN_ONLINE_EXAMPLES, Learner, LearnerState
from tests.unit.models.histories import START_MS, example, example_arrays, feature_rows, values_of


def taught(count: int, *, fitted: bool = True) -> Learner:
    """Return a learner with a base, if so, and ``count`` examples learnt."""
    learner = Learner(90)
    rows = feature_rows(max(count, 200))
    if fitted:
        learner.refit_btyd(btyd.histories_of(rows))
    for row, value in zip(rows[:count], values_of(rows)[:count], strict=True):
        learner.learn(example(row, value, clv=3_000.0, btyd=3_000.0, naive=9_000.0))
    return learner


def test_an_example_is_judged_by_what_was_said_then() -> None:
    """Errors come from the predictions that the example carries, not from what the learner knows now."""
    learner = Learner(90)
    learner.learn(
        example(feature_rows(1)[0], 1_000.0, clv=900.0, btyd=400.0, online=600.0, ensemble=1_100.0, naive=5_000.0)
    )
    mae = {name: metrics.mae for name, metrics in learner.metrics().items()}
    assert mae == {"btyd": 600.0, "online": 400.0, "ensemble": 100.0, "blend": 300.0, "clv": 100.0, "naive": 4_000.0}


def test_a_model_that_did_not_answer_is_not_judged() -> None:
    """Examples scored by the prior count for the score and the yardstick alone."""
    learner = Learner(90)
    learner.learn(example(feature_rows(1)[0], 0.0, clv=900.0, naive=5_000.0))
    assert set(learner.metrics()) == {"clv", "naive"}


@pytest.mark.parametrize("said", [5_000.0, 0.0], ids=["base", "prior"])
def test_the_online_model_learns_relative_to_the_base_of_that_moment(said: float) -> None:
    """The unit comes from the example's own expectation, or from the prior's where there was none."""
    learner, rows = Learner(90), feature_rows(1)
    learner.learn(example(rows[0], 100.0, clv=900.0, btyd=said, naive=9.0))
    base = said or btyd.answer(PRIOR, btyd.histories_of(rows), horizon_days=90).value_minor[0]
    state = msgspec.json.decode(learner.to_state(), type=LearnerState).online
    assert state.mean_unit_minor == pytest.approx(base + 0.15 * rows[0, FEATURE_INDEX["mean_purchase_value_minor"]] + 1)


def test_before_a_base_the_prior_answers() -> None:
    """Without a fitted base no member is published, whatever was learnt."""
    snapshot = taught(MIN_ONLINE_EXAMPLES, fitted=False).snapshot(START_MS)
    assert (snapshot.champion, snapshot.btyd, snapshot.online) == ("prior", None, None)


def test_online_is_published_from_a_minimum_on() -> None:
    """The online model shadows unseen until it has learnt enough."""
    assert taught(MIN_ONLINE_EXAMPLES - 1).snapshot(START_MS).online is None
    snapshot = taught(MIN_ONLINE_EXAMPLES).snapshot(START_MS)
    assert snapshot.online is not None
    assert snapshot.weights == {"btyd": 0.5, "online": 0.5}


def test_a_better_challenger_becomes_champion() -> None:
    """Five hundred examples on which the blend was better make it answer."""
    learner = taught(0)
    for row in feature_rows(500):
        learner.learn(example(row, 2_000.0, clv=6_000.0, btyd=6_000.0, online=400.0, naive=1.0))
    assert learner.snapshot(START_MS).champion == "blend"


def test_a_pinned_candidate_is_champion_whatever_its_error() -> None:
    """As long as it is there; a pin on one that is not leaves the choice to the error."""
    learner = taught(0)
    for row in feature_rows(500):
        learner.learn(example(row, 2_000.0, clv=6_000.0, btyd=6_000.0, online=400.0, naive=1.0))
    assert learner.candidates() == ("btyd", "online", "blend")
    assert learner.relative_errors()["btyd"] == 1.0
    learner.pinned = "btyd"
    assert learner.snapshot(START_MS).champion == "btyd"
    learner.pinned = "ensemble"
    assert learner.snapshot(START_MS).champion == "blend"


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
