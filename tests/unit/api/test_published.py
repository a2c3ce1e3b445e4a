"""Published models as the API holds them: the newest, and the last good ones when newer bytes are damaged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from sqlalchemy import update

from api.published import CHECK_SECONDS, Published
from clv.errors import IncompatibleArtifact
from clv.published import SCORER_NAME
from clv.settings import Settings
from storage import tables
from storage.artifacts import Artifact, put_artifacts
from storage.engine import Database
from storage.schema import upgrade
from tests.contract.api.trading import SNAPSHOT, START_MS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NEWER = msgspec.structs.replace(SNAPSHOT, sequence=2, learned_through_ms=START_MS + 1).named()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """An empty database with our tables."""
    url = Settings(data_dir=tmp_path).sql_url
    upgrade(url)
    opened = Database(url)
    yield opened
    opened.close()


def _put(database: Database, *, is_damaged: bool = False) -> None:
    """Store the newer snapshot, with other bytes under its digest if asked."""
    artifact = Artifact(SCORER_NAME, NEWER.version, NEWER.to_bytes(), NEWER.learned_through_ms)
    put_artifacts(database, [artifact])
    if is_damaged:
        stored = tables.artifacts
        with database.writing() as connection:
            connection.execute(update(stored).where(stored.c.version == NEWER.version).values(payload=b"damaged"))


def _versions(published: Published) -> list[str]:
    return [snapshot.version for snapshot in published.newest().scorer.snapshots]


def test_the_newest_are_found_when_it_looks_again(database: Database) -> None:
    """Nothing at first, then what was published, a few seconds after it was; in between it does not look."""
    now = [0.0]
    published = Published(Settings(), database, clock=lambda: now[0])
    assert _versions(published) == []
    put_artifacts(database, [Artifact(SCORER_NAME, SNAPSHOT.version, SNAPSHOT.to_bytes(), START_MS)])
    assert _versions(published) == []
    now[0] += CHECK_SECONDS
    assert _versions(published) == [SNAPSHOT.version]
    _put(database)
    now[0] += CHECK_SECONDS
    assert _versions(published) == [SNAPSHOT.version, NEWER.version]
    assert published.aggregated() is None


def test_damaged_ones_leave_the_last_good(database: Database) -> None:
    """What was loaded goes on answering; a process that has loaded nothing yet refuses to."""
    put_artifacts(database, [Artifact(SCORER_NAME, SNAPSHOT.version, SNAPSHOT.to_bytes(), START_MS)])
    now = [0.0]
    published = Published(Settings(), database, clock=lambda: now[0])
    assert _versions(published) == [SNAPSHOT.version]
    _put(database, is_damaged=True)
    now[0] += CHECK_SECONDS
    assert _versions(published) == [SNAPSHOT.version]
    with pytest.raises(IncompatibleArtifact, match="another digest"):
        Published(Settings(), database).newest()
