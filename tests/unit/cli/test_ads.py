"""``clv ads sync``, from the command line."""

from __future__ import annotations

import json
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from ads.sandbox.server import Sandbox
from cli.main import run
from storage.audiences import apply_scores, end_turn, take_turn
from storage.campaigns import performance
from storage.engine import Database
from storage.schema import upgrade
from tests.contract.ads.shop import Shop
from tests.contract.ads.test_applying import propose
from tests.contract.api.test_spending import running

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


def test_another_synchronisation_s_end_is_waited_for(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    """The role may be at it: then the command comes after it."""
    now_ms = round(time.time() * 1_000)
    assert take_turn(shop.database, "file", "the role", now_ms=now_ms, until_ms=now_ms + 60_000)
    ending = threading.Timer(1.0, end_turn, (shop.database, "file", "the role"))
    ending.start()
    code, done = _said(capsys)
    ending.join()
    assert (code, done["CLV tier A"]["present"]) == (0, 2)


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


def test_campaigns_are_imported_from_a_file(shop: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Lines that cannot be read are told with their numbers, and cost nobody else anything."""
    path = tmp_path / "spring.csv"
    path.write_text(
        "Date,Campaign name,Amount spent (USD),Results,Purchases conversion value\n"
        "2026-11-02,Spring,12.34,3,99.90\n"
        "2026-11-03,Spring,twelve,3,99.90\n"
        "soon,Spring,1,3,99.90\n"
        "2026-11-04,Autumn,5,1,\n"
        "2026-11-02,Spring,13,3,99.90\n"
    )
    command = ["ads", "import-performance", str(path), "--segment-map", "Spring=High-CLV", "--json"]
    assert run(command) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["days"], said["rejected"], said["without_segment"]) == (2, 2, 1)
    assert [line.split(",")[0] for line in (tmp_path / "spring.csv.rejects.csv").read_text().splitlines()] == [
        "line",
        "3",
        "4",
    ]
    found = {each.key: each for each in performance(shop.database, by="campaign")}
    assert (found["Spring"].spend_minor, found["Spring"].value_minor, found["Spring"].segment) == (
        1_300,
        9_990,
        "High-CLV",
    )


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize(
    ("text", "options", "says"),
    [
        ("a,b\n1,2\n", [], "has no column for day, spend, campaign_id"),
        ("day,campaign,spend\n", ["--map", "spend=Cost"], "has no column 'Cost'"),
        ("day,campaign,spend\n", ["--map", "spent=spend"], "there is no field 'spent'"),
        ("day,campaign,spend\n", ["--segment-map", "High-CLV"], "has not the form NAME=VALUE"),
    ],
    ids=["columns", "column", "field", "form"],
)
def test_a_file_that_does_not_serve_is_refused(
    text: str, options: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With what is wrong."""
    path = tmp_path / "spring.csv"
    path.write_text(text)
    assert run(["ads", "import-performance", str(path), *options]) == 1
    assert says in capsys.readouterr().err


def test_a_proposal_needs_approval(shop: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is shown, refused while nothing runs, carried out into a file, and taken back."""
    propose(shop.database, "a" * 32, {"High-CLV": 60_000, "Growth-Potential": 30_000, "Low-CLV": 9_000})
    assert run(["ads", "apply"]) == 1
    assert "needs approval" in capsys.readouterr().err
    assert run(["ads", "apply", "--dry-run", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["refusal"], shown["a_day"]["High-CLV"]) == (
        "no model has been published yet",
        {"before": "0.00", "after": "20.00"},
    )
    assert run(["ads", "apply", "--yes"]) == 1
    assert "nothing is changed: no model has been published yet" in capsys.readouterr().err
    running(shop.database)
    assert run(["ads", "apply", "--yes", "--json"]) == 0
    done = json.loads(capsys.readouterr().out)
    budget = tmp_path / "audiences" / "budget.json"
    assert (done["status"], json.loads(budget.read_text())["Low-CLV"]) == ("applied", 300)
    assert run(["ads", "apply", "--rollback", done["change_id"]]) == 0
    assert json.loads(budget.read_text()) == {"High-CLV": 0, "Growth-Potential": 0, "Low-CLV": 0}


def test_campaigns_are_pulled_from_meta(shop: Shop, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    """One of the many names of a purchase counts; a second pull changes nothing."""
    today = datetime.now(UTC).date().isoformat()
    sandbox.account.insights = [
        {
            "campaign_id": "1",
            "campaign_name": "lookalikes of CLV tier A",
            "date_start": day,
            "spend": "12.34",
            "impressions": "100",
            "clicks": "7",
            "account_currency": "USD",
            "actions": [{"action_type": "purchase", "value": "3"}, {"action_type": "omni_purchase", "value": "4"}],
            "action_values": [{"action_type": "omni_purchase", "value": "99.9"}],
        }
        for day in (today, "2020-01-01")
    ]
    for _ in range(2):
        assert run(["ads", "pull-performance", "--json"]) == 0
        assert json.loads(capsys.readouterr().out) == {"days": 1, "without_segment": 0}
    found = performance(shop.database, by="campaign")[0]
    assert (found.segment, found.spend_minor, found.purchases, found.value_minor) == ("High-CLV", 1_234, 4, 9_990)
    sandbox.account.insights[0]["account_currency"] = "EUR"
    assert run(["ads", "pull-performance"]) == 1
    assert "the ad account is in EUR" in capsys.readouterr().err
