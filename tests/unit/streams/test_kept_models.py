"""After pruning, a worker still finds the very models that its rows name."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from clv.published import SCORER_NAME, sequence_of
from clv.rules import DAY_MS
from clv.settings import Settings
from models.scorer import KEPT_SNAPSHOTS, SnapshotScorer
from models.snapshot import ScorerSnapshot
from storage import pruning
from storage.artifacts import get_artifact, newest_artifacts
from storage.cards import read_cards
from streams.published import PublishedModels
from streams.trainer_store import TrainerStore, learn, stored_examples
from tests.unit.streams.shop import PARTITIONS, START_MS, open_database, shop, store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from storage.engine import Database

SETTINGS = Settings(partitions=PARTITIONS, refit_days=10)
KEPT = 20


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Give a database with what two hundred days of the shop have stored."""
    opened = open_database(tmp_path_factory.mktemp("kept"))
    store(opened, shop(200))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def published(database: Database) -> list[ScorerSnapshot]:
    """Publish daily for eighty days while twenty versions and thirty days of cards are kept; return every snapshot."""
    snapshots = []
    kept = TrainerStore(SETTINGS, database)
    kept.load()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pruning, "KEPT_VERSIONS", KEPT)
        patch.setattr(pruning, "KEPT_DAYS", 30)
        for day in range(119, 200):
            now_ms = START_MS + day * DAY_MS
            training = kept.training()
            learn(training, stored_examples(database, training.state.through_ms, now_ms))
            given_out = training.step(now_ms)
            training.state.through_ms = now_ms
            kept.save(training, given_out)
            snapshots += [
                ScorerSnapshot.from_bytes(one.payload) for one in given_out.artifacts if one.name == SCORER_NAME
            ]
    return snapshots


def held_by(database: Database, sequence: int) -> list[str]:
    """Return the versions that a worker loads for a sequence, with their ensembles."""
    scorer = asyncio.run(PublishedModels(SETTINGS, database).judgement(sequence)).scorer
    assert isinstance(scorer, SnapshotScorer)
    assert all(scorer.has_ensemble(one.ensemble_digest) for one in scorer.snapshots if one.ensemble_digest)
    return [snapshot.version for snapshot in scorer.snapshots]


def test_what_rows_may_name_is_found_as_it_was(database: Database, published: list[ScorerSnapshot]) -> None:
    """For every sequence that has eight kept snapshots behind it, the same eight as before, ensembles and all."""
    assert len(published) > 60
    assert len({snapshot.ensemble_digest for snapshot in published}) > 3
    versions = [snapshot.version for snapshot in published]
    for place in range(len(versions) - (KEPT - KEPT_SNAPSHOTS), len(versions)):
        with capture_logs() as logs:
            found = held_by(database, published[place].sequence)
        assert found == versions[place + 1 - KEPT_SNAPSHOTS : place + 1]
        assert [line for line in logs if line["log_level"] == "warning"] == []


def test_a_version_with_a_card_can_be_loaded_for_long(database: Database, published: list[ScorerSnapshot]) -> None:
    """Within the days that cards are kept for, each carded snapshot and its ensemble are there to go back to."""
    since_ms = published[-1].learned_through_ms - 30 * DAY_MS
    carded = [card for card in read_cards(database) if card.learned_through_ms >= since_ms]
    assert len(carded) > 2
    for card in carded:
        snapshot = ScorerSnapshot.from_bytes(get_artifact(database, card.digest))
        assert snapshot.version == card.version
        if card.ensemble_digest:
            get_artifact(database, card.ensemble_digest)


def test_the_store_stops_growing(database: Database, published: list[ScorerSnapshot]) -> None:
    """The newest twenty snapshots, and before them only those of the last thirty days' cards."""
    found = newest_artifacts(database, SCORER_NAME, up_to_version="~", limit=1000)
    assert [one.version for one in found[:KEPT]] == [snapshot.version for snapshot in reversed(published[-KEPT:])]
    assert 0 < len(found[KEPT:]) <= 3


def test_models_that_are_gone_are_said(database: Database, published: list[ScorerSnapshot]) -> None:
    """A row older than what is kept is scored with what there is, with a line in the log."""
    with capture_logs() as logs:
        held_by(database, published[10].sequence)
    said = [line for line in logs if line["log_level"] == "warning"]
    assert [(line["event"][:30], line["sequence"]) for line in said] == [
        ("the store no longer holds thes", published[10].sequence)
    ]
    assert sequence_of(published[10].version) == published[10].sequence
