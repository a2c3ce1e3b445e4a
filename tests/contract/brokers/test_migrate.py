"""``clv migrate`` on a broker and databases that really run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cli.checks import examine
from cli.main import run
from clv.settings import Settings
from tests.kafka_topics import delete_topics

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.embedded
def test_what_was_wrong_before_is_right_after_and_again_does_no_harm(
    embedded_broker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A broker without topics and a database without tables end as the doctor wants them, twice."""
    for name, text in {"CLV_BROKER": embedded_broker, "CLV_DATA_DIR": str(tmp_path)}.items():
        monkeypatch.setenv(name, text)
    settings = Settings(broker=embedded_broker, data_dir=tmp_path)
    delete_topics(settings, prefix="clv")

    before = {found.subject: found.state for found in examine(settings)}
    codes = [run(["migrate"]), run(["migrate"])]
    after = {found.subject: found.state for found in examine(settings)}
    delete_topics(settings, prefix="clv")

    assert (before["database"], before["topics"]) == ("note", "wrong")
    assert codes == [0, 0]
    assert (after["database"], after["topics"]) == ("ok", "ok")
    assert capsys.readouterr().out.count("has the tables of this build") == 2


@pytest.mark.postgres
def test_without_a_broker_it_fails_after_the_tables(
    postgres_database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A Job must end with an error while the broker cannot be reached; it is run again."""
    monkeypatch.setenv("CLV_BROKER", "127.0.0.1:1")
    monkeypatch.setenv("CLV_DATABASE_URL", postgres_database)

    assert run(["migrate"]) == 1
    said = capsys.readouterr()
    assert "has the tables of this build" in said.out
    assert "no broker answers at 127.0.0.1:1" in said.err
