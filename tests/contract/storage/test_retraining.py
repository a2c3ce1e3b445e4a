"""Training on demand, from what the database holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from clv.errors import NotTrained, StoreConflict
from clv.outcomes import rfc3339
from clv.published import SCORER_NAME, version_bound
from clv.settings import Settings
from models.ensemble import Ensemble
from models.snapshot import ScorerSnapshot
from storage.artifacts import get_artifact, newest_artifacts
from storage.examples import count_examples
from storage.learning import LearnerState, load_learner, save_learner
from streams.retraining import announce_now, retrain
from streams.trainer_store import NAME, TrainerStore
from tests.unit.streams.shop import PARTITIONS, Shop, shop, store

if TYPE_CHECKING:
    from pathlib import Path

    from storage.engine import Database
    from streams.training import Publication, Training

SETTINGS = Settings(partitions=PARTITIONS)


def test_without_data_the_error_says_what_to_do(database: Database) -> None:
    """Nothing stored, or time without a purchase, is said to be so; nothing is published."""
    with pytest.raises(NotTrained, match="event time") as caught:
        retrain(SETTINGS, database)
    assert "send orders first" in caught.value.hint
    store(database, Shop({}, {place: row for place, row in shop(1).states.items() if place[1].startswith(b"\x00")}))
    with pytest.raises(NotTrained, match="bought"):
        retrain(SETTINGS, database)
    assert load_learner(database, NAME).revision == 0


def test_it_learns_refits_and_publishes(database: Database) -> None:
    """Base, ensemble and scorer are stored; every example matured by then is learned, once, however often it runs."""
    store(database, shop(200))
    first, second = retrain(SETTINGS, database), retrain(SETTINGS, database)
    assert rfc3339(first.learned_through_ms) == "2024-07-18T00:00:00Z"
    assert (first.customers, first.champion) == (120, "blend")
    matured = count_examples(database, matured_from_ms=0, matured_to_ms=first.learned_through_ms)
    assert first.examples == first.metrics["clv"].count == second.metrics["clv"].count == matured > 200
    assert first.version < second.version
    newest = newest_artifacts(database, SCORER_NAME, up_to_version=version_bound(99), limit=9)
    assert [found.version for found in newest] == [second.version, first.version]
    snapshot = ScorerSnapshot.from_bytes(get_artifact(database, newest[0].digest))
    digest = snapshot.ensemble_digest
    assert Ensemble(get_artifact(database, digest), digest).artifact.btyd_version == second.btyd == first.btyd
    assert snapshot.online is not None
    assert snapshot.glm is not None
    assert snapshot.glm.btyd_version == second.btyd


def test_few_examples_make_no_ensemble(database: Database) -> None:
    """Before there are enough matured examples the base is refitted alone."""
    store(database, shop(120))
    result = retrain(SETTINGS, database)
    assert (result.ensemble, result.customers) == ("", 120)
    assert 0 < result.examples < 200


def test_a_trainer_that_saves_meanwhile_is_not_overwritten(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A conflict is tried again from the newer state; one each time is an error, and the trainer's state stands."""
    store(database, shop(120))
    saves = {"left": 1}
    save = TrainerStore.save

    def disturbed(self: TrainerStore, training: Training, published: Publication) -> None:
        if saves["left"]:
            saves["left"] -= 1
            save_learner(database, NAME, load_learner(database, NAME))
        save(self, training, published)

    monkeypatch.setattr(TrainerStore, "save", disturbed)
    monkeypatch.setattr(retrain.retry, "wait", lambda _: 0)
    retrain(SETTINGS, database)
    assert load_learner(database, NAME).revision == 2
    saves["left"] = 99
    before = load_learner(database, NAME)
    with pytest.raises(StoreConflict):
        retrain(SETTINGS, database)
    after = load_learner(database, NAME)
    assert LearnerState(after.state, after.offsets) == LearnerState(before.state, before.offsets)


def test_without_a_broker_the_announcement_is_left_to_the_trainer(database: Database, tmp_path: Path) -> None:
    """What was not sent is in the outbox, and the reason is told."""
    store(database, shop(120))
    result = retrain(SETTINGS, database)
    assert "no embedded broker" in announce_now(Settings(partitions=PARTITIONS, data_dir=tmp_path), result.events)
    kept = TrainerStore(SETTINGS, database)
    kept.load()
    assert kept.state().outbox == result.events
