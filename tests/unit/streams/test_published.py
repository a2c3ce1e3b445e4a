"""Published policies and models as the worker follows them, over a database in a file."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import pytest
from sqlalchemy import update
from structlog.testing import capture_logs

from clv.errors import IncompatibleArtifact
from clv.outcomes import ModelAnnounced
from clv.published import POLICY_NAME, SCORER_NAME, version_of
from clv.segments import SegmentPolicy
from clv.settings import Settings
from storage import tables
from storage.artifacts import Artifact, put_artifacts
from storage.engine import Database
from storage.schema import upgrade
from streams.published import PublishedModels

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

AT = "2024-05-01T10:00:00Z"
AT_MS = 1_714_557_600_000


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A deployment whose data lie in the test's folder."""
    return Settings(data_dir=tmp_path)


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    """An empty database with our tables."""
    upgrade(settings.sql_url)
    database = Database(settings.sql_url)
    yield database
    database.close()


def publish(database: Database, sequence: int, high_minor: int) -> bytes:
    """Store a policy of a sequence, in force from 1970; return its announcement."""
    policy = SegmentPolicy(f"p{sequence}", sequence, high_minor, 100)
    payload = msgspec.json.encode(policy)
    digest = Artifact(POLICY_NAME, "", payload, AT_MS).digest
    version = version_of(sequence, digest)
    put_artifacts(database, [Artifact(POLICY_NAME, version, payload, AT_MS)])
    return msgspec.json.encode(ModelAnnounced("e", POLICY_NAME, version, digest, AT, "f", {}))


def high_of(models: PublishedModels, sequence: int) -> int | None:
    """The higher cut-off in force at a sequence, None without a policy."""
    policy = asyncio.run(models.judgement(sequence)).policies.at(AT_MS)
    return policy.high_minor if policy else None


def test_before_anything_is_published_the_prior_answers(settings: Settings, database: Database) -> None:
    """Sequence 0 has no policy and no models."""
    models = PublishedModels(settings, database)
    assert (models.latest_sequence(), high_of(models, 0)) == (0, None)


def test_a_new_version_counts_once_it_is_loaded(settings: Settings, database: Database) -> None:
    """The newest announcement counts; an older one that comes later does not take it back."""
    models = PublishedModels(settings, database)
    announced = [publish(database, sequence, 1_000 * sequence) for sequence in (1, 2, 3)]
    asyncio.run(models._take([announced[0], announced[2]]))
    assert (models.latest_sequence(), high_of(models, 3)) == (3, 3_000)
    asyncio.run(models._take([announced[1]]))
    assert models.latest_sequence() == 3


def test_after_a_loss_what_was_learned_again_answers(settings: Settings, database: Database) -> None:
    """A row names a sequence that the store has lost, whether or not it has older ones: the newest serves for it."""
    publish(database, 9, 900)
    assert high_of(PublishedModels(settings, database), 7) == 900
    publish(database, 6, 600)
    assert high_of(PublishedModels(settings, database), 7) == 900
    publish(database, 7, 700)
    assert high_of(PublishedModels(settings, database), 7) == 700


def test_what_was_newest_then_can_be_had_again(settings: Settings, database: Database) -> None:
    """A worker that starts later finds, for a sequence, what was published up to it."""
    for sequence in range(1, 8):
        publish(database, sequence, 1_000 * sequence)
    models = PublishedModels(settings, database)
    assert [high_of(models, sequence) for sequence in (0, 1, 2, 5, 7, 2)] == [None, 1_000, 2_000, 5_000, 7_000, 2_000]


def test_what_announces_nothing_is_passed_over(settings: Settings, database: Database) -> None:
    """Tombstones, rubbish, other names and broken versions neither stop the worker nor count; rubbish is logged."""
    models = PublishedModels(settings, database)
    good = publish(database, 4, 4_000)
    other = msgspec.json.encode(ModelAnnounced("e", "btyd", "000009-ab", "d", AT, "f", {}))
    broken = msgspec.json.encode(ModelAnnounced("e", SCORER_NAME, "latest", "d", AT, "f", {}))
    with capture_logs() as logs:
        asyncio.run(models._take([None, b"", b"{}", b"\xff", b'{"type":"Other"}', b"[" * 20_000, other, broken, good]))
    assert models.latest_sequence() == 4
    assert [line["event"] for line in logs if line["log_level"] == "warning"] == ["announcement cannot be read"] * 6


def test_fixed_cut_offs_rule_over_published_ones(settings: Settings, database: Database) -> None:
    """Where the deployment fixes its cut-offs, the trainer's percentiles do not count."""
    publish(database, 1, 1_000)
    fixed = Settings(data_dir=settings.data_dir, segment_cutoffs="500,100")
    assert high_of(PublishedModels(fixed, database), 1) == 50_000


def test_a_policy_whose_bytes_were_changed_is_refused(settings: Settings, database: Database) -> None:
    """Bytes that do not match their digest never judge a customer."""
    publish(database, 1, 1_000)
    with database.writing() as connection:
        connection.execute(update(tables.artifacts).values(payload=b"{}"))
    with pytest.raises(IncompatibleArtifact):
        asyncio.run(PublishedModels(settings, database).judgement(1))


def test_asking_twice_at_once_loads_once(settings: Settings, database: Database) -> None:
    """The follower and the agent may ask for the same models at the same time."""
    publish(database, 1, 1_000)
    models = PublishedModels(settings, database)

    async def ask() -> bool:
        one, other = await asyncio.gather(models.judgement(1), models.judgement(1))
        return one is other

    assert asyncio.run(ask())
