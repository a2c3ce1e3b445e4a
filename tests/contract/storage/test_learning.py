"""What the trainer keeps: learned once, published with its proof."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import update

from clv import topics
from clv.errors import IncompatibleArtifact, StoreConflict
from storage import tables
from storage.artifacts import Artifact, StoredArtifact, get_artifact, newest_artifacts, put_artifacts
from storage.learning import (
    LearnerState,
    Metrics,
    load_learner,
    put_metrics,
    read_metrics,
    read_models,
    save_learner,
)
from storage.sinking import write_batch
from tests.contract.storage.outputs import OutputTopics, announcement

if TYPE_CHECKING:
    from storage.engine import Database

SNAPSHOT = Artifact("online", "v1", b"\x00weights", 86_400_000)


def test_a_learner_begins_empty_and_comes_back_as_saved(database: Database) -> None:
    """State, offsets per partition and the topic's life come back together, with the next revision."""
    assert LearnerState() == load_learner(database, "online")
    saved = save_learner(database, "online", LearnerState(b"\x00w", {0: 5, 3: 9}, "life-1"))
    assert LearnerState(b"\x00w", {0: 5, 3: 9}, "life-1", 1) == saved == load_learner(database, "online")


@pytest.mark.parametrize("revision", [0, 1, 3], ids=["never-loaded", "behind", "ahead"])
def test_a_stale_trainer_saves_nothing(database: Database, revision: int) -> None:
    """A trainer that did not see the latest save changes neither learner nor artifacts nor figures."""
    first = save_learner(database, "online", LearnerState(b"1"))
    second = save_learner(database, "online", LearnerState(b"2", revision=first.revision))
    with pytest.raises(StoreConflict, match="another trainer has saved"):
        save_learner(
            database,
            "online",
            LearnerState(b"zombie", revision=revision),
            artifacts=[SNAPSHOT],
            metrics={"online": Metrics(1, {})},
        )
    assert second == load_learner(database, "online")
    assert read_metrics(database) == {}
    with pytest.raises(IncompatibleArtifact, match="no artifact"):
        get_artifact(database, SNAPSHOT.digest)


def test_a_save_publishes_with_it(database: Database) -> None:
    """Artifacts and figures are there as soon as the learner is."""
    save_learner(
        database, "online", LearnerState(b"1"), artifacts=[SNAPSHOT], metrics={"online": Metrics(7, {"mae": 1.5})}
    )
    assert SNAPSHOT.payload == get_artifact(database, SNAPSHOT.digest)
    assert {"online": Metrics(7, {"mae": 1.5})} == read_metrics(database)


def test_an_artifact_may_be_stored_twice(database: Database) -> None:
    """The same bytes have the same digest; the second time adds nothing."""
    assert put_artifacts(database, [SNAPSHOT]) == put_artifacts(database, [SNAPSHOT]) == [SNAPSHOT.digest]


def test_the_newest_versions_are_found(database: Database) -> None:
    """Versions of a name come newest first up to a bound, also where two have the same bytes."""
    old, same = Artifact("policy", "0001", b"cut-offs", 1), Artifact("policy", "0002", b"cut-offs", 2)
    new, other = Artifact("policy", "0003", b"others", 3), Artifact("scorer", "0002", b"weights", 2)
    put_artifacts(database, [new, old, same, other])
    found = newest_artifacts(database, "policy", up_to_version="0002", limit=5)
    assert found == [StoredArtifact("0002", same.digest), StoredArtifact("0001", old.digest)]
    assert newest_artifacts(database, "policy", up_to_version="9", limit=1) == [StoredArtifact("0003", new.digest)]


def test_damaged_bytes_are_refused(database: Database) -> None:
    """Bytes that no longer match their digest are neither given out nor taken for stored."""
    put_artifacts(database, [SNAPSHOT])
    with database.writing() as connection:
        connection.execute(update(tables.artifacts).values(payload=b"\x00weightz"))
    with pytest.raises(IncompatibleArtifact, match="another digest"):
        get_artifact(database, SNAPSHOT.digest)
    with pytest.raises(IncompatibleArtifact, match="another digest"):
        put_artifacts(database, [SNAPSHOT])


def test_figures_are_replaced(database: Database) -> None:
    """A model has its latest figures only."""
    put_metrics(database, {"a": Metrics(1, {"n": 1}), "b": Metrics(1, {})})
    put_metrics(database, {"a": Metrics(2, {"n": 2})})
    assert {"a": Metrics(2, {"n": 2}), "b": Metrics(1, {})} == read_metrics(database)


def test_announcements_come_back_in_event_time(database: Database) -> None:
    """A worker or a user finds every announced version, oldest knowledge first."""
    outputs = OutputTopics()
    newer, older = announcement("v2"), announcement("v1", "1997-03-01T00:00:00Z")
    outputs.add(topics.MODELS, b"online", newer)
    outputs.add(topics.MODELS, b"online", older)
    write_batch(database, outputs.batch())
    assert [older, newer] == read_models(database)
