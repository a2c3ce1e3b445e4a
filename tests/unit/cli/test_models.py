"""``clv models``: what is published, which part answers, and changing that."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from cli.cards import card_lines
from cli.main import run
from clv import topics
from clv.settings import Settings
from models.card import Importance
from storage.schema import downgrade
from storage.sinking import write_batch
from streams.retraining import retrain
from tests.conftest import ROOT
from tests.contract.storage.outputs import OutputTopics
from tests.unit.models.test_card import CARD
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


def test_the_list_shows_custom_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Installed beside the product, one is found, fitted, listed as a challenger, and promoted by its name."""
    metadata = tmp_path / "site" / "clv_silence_steps-0.1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: clv-silence-steps\nVersion: 0.1.0\n")
    (metadata / "entry_points.txt").write_text("[clv.models]\nsilence-steps = silence_steps:silence_steps\n")
    monkeypatch.syspath_prepend(metadata.parent)
    monkeypatch.syspath_prepend(ROOT / "examples" / "custom_model")
    monkeypatch.setenv("CLV_DATA_DIR", str(tmp_path))
    database = open_database(tmp_path)
    store(database, shop(250))
    outputs = OutputTopics()
    for event in retrain(Settings(partitions=PARTITIONS), database).events:
        if "name" in msgspec.structs.asdict(event):
            outputs.add(topics.MODELS, b"k", event)
    write_batch(database, outputs.batch())
    database.close()
    capsys.readouterr()
    found = {model["name"]: model for model in shown(capsys, "list")["models"]}
    assert found["silence-steps"]["role"] == "challenger"
    assert found["silence-steps"]["version"] == found["ensemble"]["version"]
    assert shown(capsys, "promote", "silence-steps")["champion"] == "silence-steps"
    roles = {model["name"]: model["role"] for model in shown(capsys, "list")["models"]}
    assert (roles["silence-steps"], roles["ensemble"]) == ("champion", "challenger")


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


def shown(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    """Run a command with ``--json`` and return what it printed."""
    assert run(["models", *words, "--json"], COMMANDS) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_a_version_is_shown_with_its_card(versions: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """The whole card is in the JSON, and people see data, errors and features."""
    card = shown(capsys, "show", versions[1])["card"]
    assert (card["version"], card["cause"], card["champion"], card["parent"]) == (
        versions[1],
        "refit",
        "blend",
        versions[0],
    )
    assert card["window"]["example_count"] == card["metrics"]["clv"]["count"] > 0
    assert run(["models", "show", versions[1]], COMMANDS) == 0
    said = capsys.readouterr().out
    windows = f"{card['glm']['window_count']}, of {card['glm']['customer_count']} customers"
    for part in ("refit", "120, of them", windows, "vs btyd", "repeat_purchase_count", card["digest"]):
        assert part in said


def test_what_the_scorer_looks_at_is_shown() -> None:
    """Groups, then features, the most needed first; nothing where nothing was measured."""
    with_importance = msgspec.structs.replace(
        CARD,
        importance=Importance("v", 1_300, 2.5, {"silence": 0.5, "history": 0.625, "email": 0.0}, {"gap_cv": -0.02}),
    )
    lines = [line.strip() for line in card_lines(with_importance, digits=2)]
    start = lines.index("importance  of v, on 1,300 examples: deviance when shuffled")
    assert lines[start + 1 : start + 3] == ["history +62.5 %  silence +50.0 %", "gap_cv -2.0 %"]
    without = card_lines(msgspec.structs.replace(CARD, importance=None), digits=2)
    assert not any("importance" in line for line in without)


def test_the_list_says_what_a_version_has_seen(versions: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Window, examples and champion of a scorer; nobody is pinned."""
    found = shown(capsys, "list")
    scorer = next(model for model in found["models"] if model["name"] == "scorer")
    assert (scorer["version"], scorer["champion"]) == (versions[1], "blend")
    assert (scorer["window"]["from"][:10], scorer["window"]["to"][:7]) == ("2024-01-01", "2024-04")
    assert (found["champion"], found["pinned"], scorer["relative_deviance"]) == ("blend", None, None)
    assert run(["models", "list"], COMMANDS) == 0
    assert "champion: blend\n" in capsys.readouterr().out


def test_promote_rollback_and_unpin_are_told(versions: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Each says what answers, what is pinned, and that nobody was there to announce it; the list shows the pin."""
    promoted = shown(capsys, "promote", "btyd")
    assert (promoted["champion"], promoted["pinned"], promoted["announced"]) == ("btyd", "btyd", False)
    assert "no embedded broker" in promoted["not_announced"]
    listed = shown(capsys, "list")
    assert listed["pinned"] == {"cause": "promote", "champion": "btyd", "restores": ""}
    assert [model["name"] for model in listed["models"] if model["is_pinned"]] == ["btyd"]
    assert run(["models", "rollback", versions[0]], COMMANDS) == 0
    said = capsys.readouterr()
    assert f"pinned: {versions[0]}" in said.out
    assert "stored, and not announced" in said.err
    assert run(["models", "list"], COMMANDS) == 0
    said_list = capsys.readouterr().out
    assert [line.split()[2] for line in said_list.splitlines() if line.startswith("scorer")] == ["pinned"]
    assert f"pinned by rollback to {versions[0]} until clv models unpin" in said_list
    assert run(["models", "unpin"], COMMANDS) == 0
    assert "nothing is pinned" in capsys.readouterr().out
    events = shown(capsys, "history")["events"]
    assert [event["cause"] for event in events] == ["fitted", "promote", "rollback", "unpin"]
    assert events[2]["evidence"]["restores"] == versions[0]
    assert run(["models", "history"], COMMANDS) == 0
    assert f"restores {versions[0]}" in capsys.readouterr().out


@pytest.mark.usefixtures("versions")
@pytest.mark.parametrize(
    ("words", "says", "hint"),
    [
        (["promote", "forecast"], "no candidate is called", "hint: candidates: btyd"),
        (["rollback", "zz"], "no stored scorer", "hint: clv models list --all"),
        (["unpin"], "nothing is pinned", "hint: clv models history"),
    ],
    ids=["promote", "rollback", "unpin"],
)
def test_bad_input_is_one_line_and_a_hint(
    words: list[str], says: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is changed, and the command fails."""
    assert run(["models", *words], COMMANDS) == 1
    said = capsys.readouterr().err
    assert says in said
    assert hint in said
    assert len(said.splitlines()) == 2


def test_a_database_of_an_earlier_build_is_said(
    versions: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its tables are not migrated by a look at them; the line says who does that."""
    downgrade(f"sqlite:///{tmp_path / 'clv.db'}", "0001")
    for words in (["list"], ["promote", "btyd"]):
        assert run(["models", *words], COMMANDS) == 1
        said = capsys.readouterr().err
        assert "an earlier build's" in said
        assert "hint: start `clv up`" in said
