"""``clv models``: what is published, and which part answers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec
import pytest

from cli.main import run
from clv import topics
from clv.settings import Settings
from storage.sinking import write_batch
from streams.retraining import retrain
from tests.contract.storage.outputs import OutputTopics
from tests.unit.streams.shop import PARTITIONS, open_database, shop, store

if TYPE_CHECKING:
    from pathlib import Path

COMMANDS = {"models": "cli.models"}


@pytest.fixture
def versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Publish twice, store the announcements, and return the scorers' versions."""
    monkeypatch.setenv("CLV_DATA_DIR", str(tmp_path))
    database = open_database(tmp_path)
    store(database, shop(120))
    settings = Settings(partitions=PARTITIONS)
    results = [retrain(settings, database), retrain(settings, database)]
    outputs = OutputTopics()
    for event in (event for result in results for event in result.events):
        is_model = msgspec.structs.asdict(event).get("name")
        outputs.add(topics.MODELS if is_model else topics.BUDGET_SIGNALS, b"k", event)
    write_batch(database, outputs.batch())
    database.close()
    return [result.version for result in results]


def test_the_list_shows_what_is_in_use(versions: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """The newest scorer and policy are current, the blend of two models answers; earlier versions only on request."""
    assert run(["models", "list", "--json"], COMMANDS) == 0
    shown = json.loads(capsys.readouterr().out)["models"]
    roles = {model["name"]: model["role"] for model in shown}
    assert roles == {"scorer": "current", "segment-policy": "current", "btyd": "champion", "glm": "champion"}
    assert run(["models", "list", "--all"], COMMANDS) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[2] for line in lines if line.startswith("scorer")] == ["past", "current"]
    assert versions[1] in "".join(lines)


def test_a_version_is_shown_by_its_beginning(versions: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A scorer is shown with its champion, weights and the customers behind its base."""
    assert run(["models", "show", versions[1], "--json"], COMMANDS) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["version"], shown["champion"], shown["customers"]) == (versions[1], "blend", 120)
    assert set(shown["weights"]) == {"btyd", "glm"}
    assert len(shown["digest"]) == 64
    assert run(["models", "show", versions[0][:9]], COMMANDS) == 0
    assert versions[0] in capsys.readouterr().out


@pytest.mark.parametrize(("version", "says"), [("zzz", "no version begins"), ("0000", "versions begin")])
@pytest.mark.usefixtures("versions")
def test_an_unknown_or_ambiguous_version_is_said(version: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One line, and where the versions are listed."""
    assert run(["models", "show", version], COMMANDS) == 1
    said = capsys.readouterr().err
    assert says in said
    assert "hint: clv models list" in said
