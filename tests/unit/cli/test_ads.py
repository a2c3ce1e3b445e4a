"""``clv ads sync``, from the command line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from ads.sandbox.server import Sandbox
from cli.main import run
from storage.audiences import apply_scores
from storage.engine import Database
from storage.schema import upgrade
from tests.contract.ads.shop import Shop

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """Give a shop in the data directory, with four customers of which one has no address."""
    url = f"sqlite:///{tmp_path / 'clv.db'}"
    upgrade(url)
    database = Database(url)
    made = Shop(database)
    for number, segment in enumerate(("High-CLV", "High-CLV", "Low-CLV", "Low-CLV")):
        made.score(f"c{number}", segment, 10_000)
    identities = tmp_path / "identities.csv"
    identities.write_text(
        "customer_id,email,phone,country\nc0,Mary@Example.com,,\nc1,,555 987 6543,us\nc2,nonsense,,\n"
    )
    monkeypatch.setenv("CLV_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("CLV_IDENTITY_FILE", str(identities))
    yield made
    database.close()


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """Give a Meta, and the settings that lead to it."""
    with Sandbox(token="secret", account_id="42") as running:
        for name, value in {
            "CLV_ADS_PLATFORM": "meta",
            "CLV_META_BASE_URL": running.url,
            "CLV_META_ACCESS_TOKEN": "secret",
            "CLV_META_AD_ACCOUNT_ID": "act_42",
        }.items():
            monkeypatch.setenv(name, value)
        yield running


def _said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, dict[str, object]]]:
    code = run(["ads", "sync", "--json", *arguments])
    found = json.loads(capsys.readouterr().out)
    return code, {each["name"]: each for each in found["audiences"]}


@pytest.mark.usefixtures("shop")
def test_audiences_reach_meta(sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    """By address or number; who has neither is reported with the reason, and a second run has nothing to do."""
    code, dry = _said(capsys, "--dry-run")
    assert (code, dry["CLV tier A"]["added"], dry["CLV tier A"]["reasons"]) == (0, 2, {"added: order": 2})
    assert sandbox.account.audiences == {}
    code, done = _said(capsys, "--once")
    assert (code, done["CLV tier A"]["present"], done["CLV tier A"]["added"]) == (0, 2, 2)
    assert done["CLV tier C"]["rejected"] == {
        "no e-mail address or telephone number is known": 1,
        "the e-mail address has not the form name@domain": 1,
    }
    members = {each.name: len(each.members) for each in sandbox.account.audiences.values()}
    assert members["CLV tier A"] == 2
    assert _said(capsys)[1]["CLV tier A"]["added"] == 0


@pytest.mark.usefixtures("shop")
def test_without_an_account_they_are_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The table says how many; the files are in the data directory."""
    assert run(["ads", "sync"]) == 0
    assert "CLV tier A" in capsys.readouterr().out
    assert (tmp_path / "audiences" / "clv-tier-a.csv").read_text().count("\n") == 3


@pytest.mark.usefixtures("shop", "sandbox")
@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("CLV_META_ACCESS_TOKEN", "", "CLV_META_ACCESS_TOKEN is empty"),
        ("CLV_META_AD_ACCOUNT_ID", "act_x", "CLV_META_AD_ACCOUNT_ID is 'act_x'"),
        ("CLV_IDENTITY_FILE", "", "no identities are set"),
        ("CLV_IDENTITY_FILE", "/nowhere.csv", "CLV_IDENTITY_FILE is '/nowhere.csv', and there is no such file"),
        ("CLV_ADS_PLATFORM", "myspace", "CLV_ADS_PLATFORM is 'myspace'"),
        ("CLV_ADS_MOST_MOVED_SHARE", "0", "CLV_ADS_MOST_MOVED_SHARE must be above 0"),
    ],
    ids=["token", "account", "no identities", "no file", "platform", "share"],
)
def test_a_wrong_setting_is_named(
    name: str, value: str, says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line and no call."""
    monkeypatch.setenv(name, value)
    assert run(["ads", "sync"]) == 1
    assert says in capsys.readouterr().err


def test_bad_identities_end_it(shop: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that contradicts itself is nobody's identity; the message has no address in it."""
    (tmp_path / "identities.csv").write_text("customer_id,email\nc0,a@example.com\nc0,b@example.com\n")
    apply_scores(shop.database, [], [], {})
    assert run(["ads", "sync"]) == 1
    said = capsys.readouterr().err
    assert ("line 3: a customer comes twice" in said, "example.com" in said) == (True, False)
