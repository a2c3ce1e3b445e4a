"""Promote, roll back and unpin, against a store with real snapshots, and beside a trainer that saves meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from clv.errors import FeatureMismatch, IncompatibleArtifact, InputError, NotTrained, StoreConflict
from clv.outcomes import ModelAnnounced
from clv.published import POLICY_NAME, SCORER_NAME, sequence_of
from clv.rules import DAY_MS
from clv.settings import Settings
from models.card import ModelCard
from models.ensemble import Ensemble
from models.scorer import KEPT_SNAPSHOTS, SnapshotScorer
from models.snapshot import ScorerSnapshot
from storage.artifacts import get_artifact, newest_artifacts
from storage.cards import pin_in_force, read_cards, read_events
from storage.learning import LearnerState, load_learner, save_learner
from streams import pinning
from streams.pinning import Pinned, promote, roll_back, unpin
from streams.retraining import retrain
from streams.trainer_store import NAME, TrainerStore, learn, stored_examples
from streams.training import Publication
from tests.unit.models.histories import example, feature_rows
from tests.unit.streams.shop import PARTITIONS, START_MS, shop, store

if TYPE_CHECKING:
    from clv.ports import Floats
    from storage.engine import Database
    from streams.training import Training

SETTINGS = Settings(partitions=PARTITIONS)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again at once."""
    for command in (promote, roll_back, unpin):
        monkeypatch.setattr(command.retry, "wait", lambda _: 0)


@pytest.fixture
def trained(database: Database) -> list[ScorerSnapshot]:
    """Train at day 150, and at day 200 with an ensemble; return both snapshots."""
    store(database, shop(150))
    retrain(SETTINGS, database)
    store(database, shop(200))
    retrain(SETTINGS, database)
    return list(reversed(snapshots(database)))


def snapshots(database: Database) -> list[ScorerSnapshot]:
    """Return what a worker would load, newest first."""
    found = newest_artifacts(database, SCORER_NAME, up_to_version="~", limit=KEPT_SNAPSHOTS)
    return [ScorerSnapshot.from_bytes(get_artifact(database, one.digest)) for one in found]


def answers(database: Database, at_ms: int) -> tuple[str, Floats]:
    """Return which version answers a worker at a moment, and what it says of some customers."""
    scorer = SnapshotScorer(SETTINGS.horizon_days)
    for snapshot in snapshots(database):
        digest = snapshot.ensemble_digest
        scorer = scorer.add(snapshot, Ensemble(get_artifact(database, digest), digest) if digest else None)
    found = scorer.score(feature_rows(20), np.full(20, at_ms, dtype=np.int64))
    return found.versions[int(found.version[0])].scorer, found.clv


def kept(database: Database) -> TrainerStore:
    """Return the trainer's store as it stands."""
    found = TrainerStore(SETTINGS, database)
    found.load()
    return found


def step(database: Database, day: int, *, is_forced: bool = False) -> Publication:
    """Do a trainer's work of a day, and store it."""
    now_ms = START_MS + day * DAY_MS
    found = kept(database)
    training = found.training()
    learn(training, stored_examples(database, training.state.through_ms, now_ms))
    published = training.step(now_ms, is_forced=is_forced)
    training.state.through_ms = now_ms
    found.save(training, published)
    return published


def scorer_events(result: Pinned) -> list[ModelAnnounced]:
    """Return the announcements of a scorer."""
    return [event for event in result.events if isinstance(event, ModelAnnounced) and event.name == SCORER_NAME]


def test_before_anything_is_published_the_error_says_so(database: Database) -> None:
    """Nothing is stored by any of the three."""
    with pytest.raises(NotTrained, match="no model has been published yet"):
        promote(SETTINGS, database, "btyd")
    with pytest.raises(NotTrained, match="no model has been published yet"):
        roll_back(SETTINGS, database)
    with pytest.raises(NotTrained, match="no model has been published yet"):
        unpin(SETTINGS, database)
    assert load_learner(database, NAME).revision == 0


def test_a_promoted_candidate_answers_and_stays(database: Database, trained: list[ScorerSnapshot]) -> None:
    """It is published at once under a new number, with card and event, and every later step and training keeps it."""
    result = promote(SETTINGS, database, "online")
    newest = snapshots(database)[0]
    assert (result.version, result.champion, result.pinned) == (newest.version, "online", "online")
    assert (newest.champion, newest.sequence) == ("online", trained[-1].sequence + 1)
    assert newest.learned_through_ms == trained[-1].learned_through_ms
    assert answers(database, newest.learned_through_ms)[0] == newest.version
    event = read_events(database)[-1]
    assert (event.version, event.cause, event.from_champion, event.to_champion) == (
        newest.version,
        "promote",
        "blend",
        "online",
    )
    card = ModelCard.from_json(read_cards(database)[-1].card)
    assert (card.version, card.cause, card.parent) == (newest.version, "promote", trained[-1].version)
    assert card.pin is not None
    assert card.pin.champion == "online"
    assert pin_in_force(database) == event
    assert [(one.champion, one.champion_before, one.switch_cause) for one in scorer_events(result)] == [
        ("online", "blend", "promote")
    ]
    assert step(database, 199, is_forced=True).switch is None
    again = retrain(SETTINGS, database)
    assert (again.champion, again.pinned) == ("online", "online")
    assert snapshots(database)[0].champion == "online"


@pytest.mark.parametrize("part", ["glm", "ensemble"])
def test_a_part_is_promoted_by_its_version(database: Database, trained: list[ScorerSnapshot], part: str) -> None:
    """The beginning of the version of a part in use names that part; twice is once."""
    version = getattr(trained[-1].model_versions, part)
    first, second = promote(SETTINGS, database, version[:8]), promote(SETTINGS, database, part)
    assert (first.champion, first.is_new) == (part, True)
    assert answers(database, trained[-1].learned_through_ms)[0] == first.version
    assert second._replace(is_new=True, events=first.events) == first
    assert not second.is_new
    assert scorer_events(second) == scorer_events(first)
    assert len(snapshots(database)) == 3


@pytest.mark.usefixtures("trained")
@pytest.mark.parametrize(
    ("wanted", "says", "hint"),
    [
        ("forecast", "no candidate is called 'forecast'", "btyd, glm, online, ensemble, blend"),
        ("", "no candidate", "btyd, glm, online"),
        ("000001-", "is a whole version", "clv models rollback 000001-"),
    ],
    ids=["unknown", "empty", "a-scorer's"],
)
def test_what_cannot_be_promoted_is_said(database: Database, wanted: str, says: str, hint: str) -> None:
    """One line with what to do; nothing is published."""
    with pytest.raises(InputError, match=says) as refused:
        promote(SETTINGS, database, wanted)
    assert hint in refused.value.hint
    assert len(snapshots(database)) == 2


@pytest.mark.usefixtures("trained")
def test_what_a_person_has_published_is_not_due_again(database: Database) -> None:
    """What was learned before a promotion is in it: the trainer's next day publishes nothing of it anew."""
    found = kept(database)
    training = found.training()
    training.learner.learn(example(feature_rows(1)[0], 700.0, clv=900.0, naive=900.0))
    training.state.learner = training.learner.to_state()
    found.save(training, Publication([], []))
    promote(SETTINGS, database, "btyd")
    training = kept(database).training()
    assert training.state.learned_count == training.learner.learned_count
    published = training.step(training.state.through_ms + DAY_MS)
    assert [one.name for one in published.artifacts if one.name == SCORER_NAME] == []


def test_an_older_version_answers_again(database: Database, trained: list[ScorerSnapshot]) -> None:
    """Under a new number and the trainer's time it says what it said then; what was before stays as it was."""
    old, new = trained
    then = answers(database, old.learned_through_ms)
    result = roll_back(SETTINGS, database)
    newest = snapshots(database)[0]
    assert (result.version, result.pinned) == (newest.version, old.version)
    assert sequence_of(newest.version) == new.sequence + 1
    assert newest.learned_through_ms == new.learned_through_ms == kept(database).state().through_ms
    version, clv = answers(database, newest.learned_through_ms)
    assert version == newest.version
    assert clv.tolist() == then[1].tolist()
    assert answers(database, new.learned_through_ms - 1)[0] == old.version
    card = ModelCard.from_json(read_cards(database)[-1].card)
    first = ModelCard.from_json(read_cards(database)[0].card)
    assert (card.cause, card.restores, card.parent) == ("rollback", old.version, new.version)
    assert (card.window, card.customers, card.members) == (first.window, first.customers, first.members)
    assert card.importance == first.importance
    assert card.glm == first.glm != ModelCard.from_json(read_cards(database)[1].card).glm
    assert [event.version for event in scorer_events(result)] == [newest.version]
    assert len(result.events) == 1


def test_behind_a_rollback_the_trainer_learns_unseen(database: Database, trained: list[ScorerSnapshot]) -> None:
    """Days and refits publish no snapshot, cut-offs go on; unpinned, what was learned meanwhile answers."""
    store(database, shop(240))
    roll_back(SETTINGS, database, trained[0].version)
    held = snapshots(database)[0]
    count = len(read_cards(database))
    before = kept(database).training().learner.learned_count
    published = [step(database, day, is_forced=day == 210) for day in range(201, 240)]
    assert snapshots(database)[0] == held
    assert not [one for each in published for one in each.artifacts if one.name == SCORER_NAME]
    assert {one.name for each in published for one in each.artifacts} == {POLICY_NAME, "ensemble"}
    announced = {one.name for each in published for one in each.events if isinstance(one, ModelAnnounced)}
    assert announced == {POLICY_NAME}
    assert len(read_cards(database)) == count
    assert kept(database).training().learner.learned_count > before
    trial = retrain(SETTINGS, database)
    assert (trial.version, trial.pinned) == (held.version, trained[0].version)
    result = unpin(SETTINGS, database)
    newest = snapshots(database)[0]
    assert (newest.version, result.pinned, pin_in_force(database)) == (result.version, "", None)
    assert newest.ensemble_digest not in {"", trained[1].ensemble_digest}
    assert newest.learned_through_ms == START_MS + 240 * DAY_MS - DAY_MS
    assert newest.sequence > sequence_of(held.version) + 1
    card = ModelCard.from_json(read_cards(database)[-1].card)
    assert (card.cause, card.parent, card.pin) == ("unpin", held.version, None)
    assert card.window.example_count == kept(database).training().learner.learned_count


@pytest.mark.usefixtures("trained")
def test_rolling_back_again_goes_further_back(database: Database) -> None:
    """Each time one essential version further, whatever rollbacks have published, until there is none."""
    promote(SETTINGS, database, "online")
    versions = [ModelCard.from_json(row.card).version for row in read_cards(database)]
    assert [roll_back(SETTINGS, database).pinned for _ in range(2)] == [versions[1], versions[0]]
    with pytest.raises(InputError, match="no earlier version"):
        roll_back(SETTINGS, database)


def test_undoing_an_unpinning_goes_back_to_what_was_restored(database: Database, trained: list[ScorerSnapshot]) -> None:
    """Not to the version that had been rolled back from."""
    assert roll_back(SETTINGS, database).pinned == trained[0].version
    unpin(SETTINGS, database)
    assert roll_back(SETTINGS, database).pinned == trained[0].version
    with pytest.raises(InputError, match="no earlier version"):
        roll_back(SETTINGS, database)


def test_after_a_rollback_the_one_that_answers_is_to_be_beaten(
    database: Database, trained: list[ScorerSnapshot]
) -> None:
    """Unpinning what undid a promotion does not bring the promoted one back."""
    promote(SETTINGS, database, "online")
    roll_back(SETTINGS, database, trained[-1].version)
    assert unpin(SETTINGS, database).champion == "blend"
    causes = [(event.cause, event.from_champion, event.to_champion) for event in read_events(database)]
    assert causes[1:] == [
        ("promote", "blend", "online"),
        ("rollback", "online", "blend"),
        ("unpin", "blend", "blend"),
    ]


def test_a_version_that_cannot_score_is_refused(database: Database, trained: list[ScorerSnapshot]) -> None:
    """Unknown, ambiguous, answering, of another horizon, or without its ensemble: said, and nothing is published."""
    for wanted, says in (("zz", "no stored"), ("0000", "2 scorers' versions"), (trained[1].version, "answers already")):
        with pytest.raises(InputError, match=says):
            roll_back(SETTINGS, database, wanted)
    with pytest.raises((FeatureMismatch, IncompatibleArtifact)):
        roll_back(Settings(partitions=PARTITIONS, horizon_days=30), database, trained[0].version)
    with pytest.raises(InputError, match="nothing is pinned"):
        unpin(SETTINGS, database)
    assert len(snapshots(database)) == 2


@pytest.mark.usefixtures("trained")
@pytest.mark.parametrize("command", ["promote", "rollback", "unpin"])
def test_a_trainer_that_saves_meanwhile_is_not_overwritten(
    database: Database, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """A conflict is tried again from the newer state; one each time is an error, and nothing of it is stored."""
    if command == "unpin":
        promote(SETTINGS, database, "blend")
    actions: dict[str, Any] = {
        "promote": lambda: promote(SETTINGS, database, "online"),
        "rollback": lambda: roll_back(SETTINGS, database),
        "unpin": lambda: unpin(SETTINGS, database),
    }
    saves = {"left": 99}
    save = TrainerStore.save

    def disturbed(self: TrainerStore, training: Training, published: Publication) -> None:
        if saves["left"]:
            saves["left"] -= 1
            save_learner(database, NAME, load_learner(database, NAME))
        save(self, training, published)

    monkeypatch.setattr(TrainerStore, "save", disturbed)
    before = load_learner(database, NAME), read_cards(database), read_events(database), snapshots(database)
    with pytest.raises(StoreConflict):
        actions[command]()
    after = load_learner(database, NAME)
    assert LearnerState(after.state, after.offsets) == LearnerState(before[0].state, before[0].offsets)
    assert (read_cards(database), read_events(database), snapshots(database)) == before[1:]
    assert saves["left"] == 99 - pinning._ATTEMPTS
    saves["left"] = 1
    assert actions[command]().is_new
    assert len(read_events(database)) == len(before[2]) + 1
