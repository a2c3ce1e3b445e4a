"""Which versions get a card, what it says, and what a switch of champion leaves behind."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec
import pytest

from clv.errors import IncompatibleArtifact
from clv.features import FEATURE_NAMES
from clv.outcomes import ModelAnnounced, rfc3339
from clv.published import SCORER_NAME
from clv.settings import Settings
from models import evaluation, glm
from models.card import GlmFacts, ModelCard, Pin
from models.challengers import Fit
from models.ensemble import Ensemble
from models.snapshot import ScorerSnapshot
from storage.artifacts import get_artifact
from storage.cards import read_cards, read_events
from streams.registry import Occasion
from streams.trainer_store import TrainerStore, learn, stored_examples
from streams.training import Publication, TrainerState, Training
from tests.unit.models.histories import example, feature_rows
from tests.unit.streams.shop import PARTITIONS, open_database, shop, store
from tests.unit.streams.test_training import at_day, named

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from models.glm import GlmState
    from storage.engine import Database

SETTINGS = Settings(partitions=PARTITIONS, refit_days=28)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """Give a database with what two hundred days of the shop have stored."""
    opened = open_database(tmp_path)
    store(opened, shop(200))
    yield opened
    opened.close()


def step(database: Database, day: int, *, is_forced: bool = False) -> tuple[Training, Publication]:
    """Learn what matured by a day, do what is due, and store it as the trainer does."""
    kept = TrainerStore(SETTINGS, database)
    kept.load()
    training = kept.training()
    learn(training, stored_examples(database, training.state.through_ms, at_day(day)))
    published = training.step(at_day(day), is_forced=is_forced)
    training.state.through_ms = at_day(day)
    kept.save(training, published)
    return training, published


def prove_online(training: Training) -> None:
    """Let the online model have been right where the others were three times too high."""
    for row in feature_rows(900):
        predictions = {"clv": 6_000.0, "btyd": 6_000.0, "glm": 6_000.0, "online": 2_000.0, "naive": 1.0}
        training.learner.learn(example(row, 2_000.0, day=14_600, **predictions))


def snapshot_of(published: Publication) -> ScorerSnapshot:
    """Return the snapshot that was given out."""
    return ScorerSnapshot.from_bytes(named(published, SCORER_NAME)[0].payload)


def scorer_announced(published: Publication) -> ModelAnnounced:
    """Return the scorer's announcement."""
    found = [event for event in published.events if isinstance(event, ModelAnnounced) and event.name == SCORER_NAME]
    assert len(found) == 1
    return found[0]


def test_a_card_says_what_the_learner_said(database: Database) -> None:
    """Version, digest, window, customers, members, ensemble and errors are those of what was published."""
    training, published = step(database, 199, is_forced=True)
    (row,) = read_cards(database)
    card, snapshot = ModelCard.from_json(row.card), snapshot_of(published)
    assert card == published.card
    assert (card.version, card.sequence, card.champion) == (snapshot.version, snapshot.sequence, snapshot.champion)
    assert card.digest == hashlib.sha256(snapshot.to_bytes()).hexdigest()
    assert card.learned_through_at == rfc3339(at_day(199))
    assert (card.horizon_days, card.features) == (90, FEATURE_NAMES)
    learned = sorted(
        (one.matured_at, one.as_of) for one in shop(200).examples() if one.matured_at < rfc3339(at_day(199))
    )
    window = card.window
    assert (window.first_matured_at, window.first_as_of) == learned[0]
    assert (window.last_matured_at, window.last_as_of) == learned[-1]
    assert window.example_count == training.learner.learned_count == len(learned) > 200
    assert snapshot.btyd is not None
    assert (card.customers, card.repeat_customers) == (120, snapshot.btyd.repeat_customer_count)
    versions = snapshot.model_versions
    assert card.members == {name: getattr(versions, name) for name in ("btyd", "glm", "online", "ensemble")}
    assert snapshot.glm is not None
    assert card.members["glm"] == snapshot.glm.version
    assert card.glm == GlmFacts(snapshot.glm.window_count, snapshot.glm.customer_count, snapshot.btyd.version)
    assert card.glm.window_count >= card.training["glm_min_windows"] == glm.MIN_WINDOWS
    assert card.weights == snapshot.weights
    assert card.metrics == {name: msgspec.structs.asdict(m) for name, m in training.learner.metrics().items()}
    assert card.relative_errors == training.learner.relative_errors()
    artifact = Ensemble(get_artifact(database, card.ensemble_digest)).artifact
    assert card.ensemble is not None
    assert card.ensemble.weights == artifact.weights
    assert card.ensemble.held_out_deviance == artifact.held_out_deviance
    assert (card.training["refit_days"], card.training["champion_margin"]) == (28, evaluation.MARGIN)
    assert card.importance is not None
    assert card.importance == training.learner.feature_importance()
    assert (card.importance.version, card.importance.example_count) == (snapshot.version, window.example_count)
    assert (row.champion, row.ensemble_digest, row.digest) == (card.champion, card.ensemble_digest, card.digest)


def test_refits_have_cards_and_days_have_none(database: Database) -> None:
    """The first version, the first base and each refit have one; the daily snapshots between them do not."""
    snapshots = []
    for day in range(90, 160):
        _, published = step(database, day)
        snapshots += [(day, published.card and published.card.cause)] if named(published, SCORER_NAME) else []
    carded = [(day, cause) for day, cause in snapshots if cause]
    assert carded == [(90, "first"), (118, "refit"), (146, "refit")]
    assert len(snapshots) > 20
    cards = [ModelCard.from_json(row.card) for row in read_cards(database)]
    assert [card.cause for card in cards] == ["first", "refit", "refit"]
    assert cards[0].parent == ""
    assert all(card.parent for card in cards[1:])


def test_the_first_base_is_a_switch_from_the_prior(database: Database) -> None:
    """The event says so, without errors; the announcement too, and the next one no longer."""
    _, published = step(database, 150, is_forced=True)
    (event,) = read_events(database)
    assert (event.cause, event.from_champion, event.to_champion) == ("fitted", "prior", "blend")
    assert (event.version, event.at_ms) == (snapshot_of(published).version, at_day(150))
    announced = scorer_announced(published)
    assert (announced.champion, announced.champion_before, announced.switch_cause) == ("blend", "prior", "fitted")
    announced = scorer_announced(step(database, 151, is_forced=True)[1])
    assert (announced.champion, announced.champion_before, announced.switch_cause) == ("blend", "", "")


def test_the_first_regression_is_fitted_and_no_error(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The blend takes BTYD's place on what is expected of it: the event doesn't claim examples that are not there."""

    def too_few(*_: object, **__: object) -> GlmState | None:
        return None

    with monkeypatch.context() as patched:
        patched.setattr("models.training.glm.fit", too_few)
        training, published = step(database, 110, is_forced=True)
    assert published.card is not None
    assert (published.card.champion, published.card.glm, "glm" in published.card.members) == ("btyd", None, False)
    switch = training.step(at_day(111), is_forced=True).switch
    assert switch is not None
    assert (switch.cause, switch.before, switch.after) == ("fitted", "btyd", "blend")
    assert switch.evidence.relative_errors["blend"] is None
    assert switch.evidence.standings == pytest.approx(
        {"btyd": 1.0, "blend": evaluation.EXPECTED_ERROR["blend"]}, abs=1e-4
    )


def test_a_switch_by_error_keeps_its_evidence(database: Database) -> None:
    """A better challenger is an event with both errors and the count, on the card and in the announcement."""
    training, _ = step(database, 150, is_forced=True)
    before = training.learner.learned_count
    prove_online(training)
    published = training.step(at_day(151))
    switch, card = published.switch, published.card
    assert switch is not None
    assert card is not None
    assert (switch.cause, switch.before, switch.after) == ("error", "blend", "online")
    errors = {name: training.learner.relative_errors()[name] for name in ("blend", "online")}
    assert switch.evidence.relative_errors == errors
    assert errors["online"] is not None
    assert errors["online"] < 1.0 - switch.evidence.margin
    standings = switch.evidence.standings
    assert standings == {name: training.learner.standings()[name] for name in ("blend", "online")}
    assert standings["online"] < standings["blend"] * (1.0 - switch.evidence.margin)
    assert switch.evidence.example_count == before + 900
    assert (card.cause, card.champion, card.switch) == ("switch", "online", switch)
    announced = scorer_announced(published)
    assert (announced.champion, announced.champion_before, announced.switch_cause) == ("online", "blend", "error")
    later = training.step(at_day(160), is_forced=True).card
    assert later is not None
    assert (later.cause, later.switch) == ("refit", switch)


def test_a_pin_holds_against_the_error(database: Database) -> None:
    """However much better a challenger is, the promoted one answers; unpinned, the error decides, and that is said."""
    training, _ = step(database, 150, is_forced=True)
    training.pin(Pin("t", champion="btyd"))
    promoted = training.publish(Occasion("promote")).switch
    assert promoted is not None
    assert (promoted.cause, promoted.before, promoted.after) == ("promote", "blend", "btyd")
    prove_online(training)
    held = training.step(at_day(151))
    assert (held.card, held.switch, snapshot_of(held).champion) == (None, None, "btyd")
    training.pin(None)
    unpinned = training.publish(Occasion("unpin")).switch
    assert unpinned is not None
    assert (unpinned.cause, unpinned.before, unpinned.after) == ("unpin", "btyd", "online")
    assert unpinned.evidence.relative_errors["online"] is not None


def test_a_pinned_candidate_that_is_gone_answers_no_more(database: Database) -> None:
    """The error decides among those there are, as if nothing were pinned."""
    training, _ = step(database, 199, is_forced=True)
    training.pin(Pin("t", champion="ensemble"))
    training.publish(Occasion("promote"))
    training.learner.ensemble_digest = ""
    switch = training.step(at_day(199)).switch
    assert switch is not None
    assert (switch.cause, switch.before, switch.after) == ("fitted", "ensemble", "blend")


def test_a_pinned_regression_that_is_gone_leaves_the_base(database: Database) -> None:
    """Where windows have become too few for one, BTYD answers again; no other member has shown itself."""
    training, _ = step(database, 150, is_forced=True)
    training.pin(Pin("t", champion="glm"))
    assert training.publish(Occasion("promote")).switch is not None
    training.learner.glm = None
    published = training.publish(Occasion())
    assert published.switch is not None
    assert (published.switch.cause, published.switch.before, published.switch.after) == ("fitted", "glm", "btyd")
    assert published.card is not None
    assert (published.card.glm, "glm" in published.card.members) == (None, False)


def test_a_card_does_without_the_facts_of_a_lost_ensemble(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The trainer goes on; workers will say that they cannot load it."""
    step(database, 199, is_forced=True)

    def lost(*_: object) -> bytes:
        raise IncompatibleArtifact("gone")

    monkeypatch.setattr("streams.registry.get_artifact", lost)
    kept = TrainerStore(SETTINGS, database)
    kept.load()
    training = kept.training()
    training.pin(Pin("t", champion="online"))
    card = training.publish(Occasion("promote")).card
    assert card is not None
    assert card.ensemble_digest
    assert card.ensemble is None


def test_a_state_of_the_build_before_goes_on(database: Database) -> None:
    """A trainer's state without cards and pins is read, and its next publication gets the first card."""
    training, _ = step(database, 150, is_forced=True)
    fields = msgspec.json.decode(msgspec.json.encode(training.state))
    del fields["registry"]
    state = msgspec.json.decode(msgspec.json.encode(fields), type=TrainerState)
    card = Training(SETTINGS, database, state).step(at_day(151), is_forced=True).card
    assert card is not None
    assert card.cause == "first"


def test_what_custom_models_are_judged_by_is_not_pruned(database: Database) -> None:
    """Earlier fits count as used for as long as examples scored under them may mature, card or no card."""
    training, published = step(database, 199, is_forced=True)
    training.learner.fits = (Fit(at_day(150), "earlier"), Fit(at_day(170), ""))
    found = TrainerStore._registered(training, published).retention
    assert found
    assert found.used_digests == {"earlier", training.learner.ensemble_digest}
