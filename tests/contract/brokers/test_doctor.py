"""The doctor on brokers and databases that really run."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING

import pytest

from cli.checks import check_database, examine
from clv.settings import Settings
from storage.schema import upgrade
from streams.topics import ensure_topics
from tests.kafka_topics import delete_topics

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    "broker",
    [
        pytest.param("embedded_broker", marks=pytest.mark.embedded),
        pytest.param("kafka_bootstrap", marks=pytest.mark.kafka),
    ],
)
def test_missing_topics_are_one_finding_and_then_none(
    broker: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Before the topics exist the doctor says so once; afterwards everything is in order but the wrong count."""
    settings = Settings(data_dir=tmp_path, broker=request.getfixturevalue(broker))

    before = {found.subject: found for found in examine(settings)}
    asyncio.run(ensure_topics(settings))
    after = {found.subject: found for found in examine(settings)}
    other = [found for found in examine(dataclasses.replace(settings, partitions=5)) if found.state == "wrong"]
    delete_topics(settings, prefix="clv")

    assert before["topics"].state == "wrong"
    assert before["topics"].hint == "clv topics --create"
    assert "lag" not in before
    assert {subject for subject, found in after.items() if found.state == "wrong"} == set()
    assert after["lag"].says == "the workers have read every orders record"
    assert {found.subject for found in other} == {"topics"}


@pytest.mark.postgres
def test_postgresql_is_looked_at(postgres_database: str) -> None:
    """An empty PostgreSQL database is a note, an upgraded one is in order."""
    settings = Settings(database_url=postgres_database)

    empty = [found.state for found in check_database(settings)]
    upgrade(settings.sql_url)
    upgraded = [found.state for found in check_database(settings)]

    assert (empty, upgraded) == (["note"], ["ok"])


def test_an_absent_postgresql_is_wrong_and_shows_no_password(tmp_path: Path) -> None:
    """A database that does not answer is one wrong finding, without the password."""
    settings = Settings(data_dir=tmp_path, database_url="postgresql://me:hunter2@127.0.0.1:1/clv")

    found = [finding for finding in examine(settings) if finding.subject == "database"]

    assert [finding.state for finding in found] == ["wrong"]
    assert "hunter2" not in found[0].says + found[0].hint
