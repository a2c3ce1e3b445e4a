"""Audiences at Meta, against a server that keeps its rules: whatever breaks, they end with whom the scores want."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING

import pytest

from ads.connector import Member, NotDone, Refused, Replacement, SessionLost, Throttled, Uncertain
from ads.connectors.meta import MetaConnector
from ads.connectors.meta_client import MetaClient, MetaConfig
from ads.identity import Identity
from ads.sandbox.server import Sandbox
from clv.audiences import AUDIENCES
from tests.contract.ads.shop import Shop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from storage.engine import Database

NAMES = [spec.name for spec in AUDIENCES]
ALL_RIGHT = dict.fromkeys(NAMES, True)
SEGMENTS = ("High-CLV", "Growth-Potential", "Low-CLV")
TOKEN = "EAAB-secret"
TIER, SEED = AUDIENCES[0], AUDIENCES[3]


class Meta:
    """A sandbox and what talks to it, on the shop's clock."""

    def __init__(self, shop: Shop, sandbox: Sandbox, most_rows: int = 10_000) -> None:
        self.shop = shop
        self.sandbox = sandbox
        self.most_rows = most_rows
        self.client: MetaClient | None = None
        sandbox.account.smallest = 0

    def connector(self, token: str = TOKEN, *, country: str = "", pixel_id: str = "") -> MetaConnector:
        """Return a connector as a new process has it."""
        config = MetaConfig(
            base_url=self.sandbox.url,
            api_version="v26.0",
            access_token=token,
            ad_account_id="act_42",
            digits=2,
            country=country,
            pixel_id=pixel_id,
        )
        self.close()
        client = self.client = MetaClient(config, clock=self.shop.clock, sleep=lambda _: None)
        return MetaConnector(client, most_rows=self.most_rows)

    def close(self) -> None:
        """Close the last connector's connections."""
        if self.client:
            self.client.close()

    def held(self) -> dict[str, bool]:
        """Tell of each audience whether it holds exactly whom it should."""
        # Of audiences of the same name, made by a call that was done twice, the first counts.
        made = reversed(self.sandbox.account.audiences.values())
        members = {each.name: {row[0] for row in each.members} for each in made}
        return {name: members.get(name) == {row[0] for row in self.shop.wanted(name)} for name in NAMES}


@pytest.fixture
def meta(sqlite_shop: Shop) -> Iterator[Meta]:
    """Give a Meta without audiences, and a shop of nine customers."""
    for number in range(9):
        sqlite_shop.score(f"c{number}", SEGMENTS[number % 3], 10_000 * (number + 1), churn=0.9 if number == 7 else 0.1)
    with Sandbox(token=TOKEN, account_id="42", clock=sqlite_shop.clock) as sandbox:
        made = Meta(sqlite_shop, sandbox)
        yield made
        made.close()


@pytest.mark.parametrize("is_in_use", [False, True], ids=["deltas", "replaced"])
def test_audiences_become_what_the_scores_want(meta: Meta, is_in_use: bool) -> None:  # noqa: FBT001  # a case
    """At first, and after customers moved, came and left; those on active ad sets by replacement alone."""
    meta.shop.synchronise(meta.connector())
    assert meta.held() == ALL_RIGHT
    for audience in meta.sandbox.account.audiences.values():
        audience.is_in_use = is_in_use
    meta.sandbox.requests.clear()
    meta.most_rows = 2
    meta.shop.score("c0", "Low-CLV", 500)
    meta.shop.score("new", "High-CLV", 90_000)
    meta.shop.identities["c3"] = Identity(email="moved@example.com", phone="+1 555 987 6543")
    meta.shop.synchronise(meta.connector())
    assert meta.held() == ALL_RIGHT
    edges = {url.rsplit("/", 1)[-1] for method, url, _ in meta.sandbox.requests if method == "POST"}
    assert edges == ({"usersreplace"} if is_in_use else {"users"})


def test_what_is_sent(meta: Meta) -> None:
    """Hashes and values in the body, the token in a header, and nobody's address anywhere."""
    meta.shop.synchronise(meta.connector())
    made = [json.loads(body) for _, url, body in meta.sandbox.requests if url.endswith("/customaudiences") and body]
    assert [each["audience_labels"] for each in made][:3] == [
        ["HIGH_VALUE_CUSTOMERS"],
        ["GENERAL_CUSTOMERS"],
        ["LOW_VALUE_CUSTOMERS"],
    ]
    assert [each["name"] for each in made if each.get("is_value_based")] == [SEED.name]
    seed = next(json.loads(body) for _, _, body in meta.sandbox.requests if b"LOOKALIKE_VALUE" in body)
    assert seed["payload"]["schema"] == ["EMAIL", "PHONE", "LOOKALIKE_VALUE"]
    assert [row[2] for row in seed["payload"]["data"]] == [100.0 * (number + 1) for number in range(9)]
    sent = "".join(url for _, url, _ in meta.sandbox.requests) + "".join(
        b.decode() for _, _, b in meta.sandbox.requests
    )
    assert ("example.com" in sent, TOKEN in sent) == (False, False)


def test_lookalikes_come_once_their_origin_is_large_enough(meta: Meta) -> None:
    """By ratio, for a country, and once."""
    for number in range(130):
        meta.shop.score(f"m{number}", "High-CLV", 20_000)
    for _ in range(3):
        meta.shop.now_ms += 60_000
        meta.shop.synchronise(meta.connector(country="DE"))
    made = {each.name: each.ratio for each in meta.sandbox.account.audiences.values() if each.origin_id}
    assert made == {"CLV tier A lookalike 1% DE": 0.01, "CLV seed lookalike 1% DE": 0.01}


def test_an_audience_that_was_deleted_there_is_made_and_filled_anew(meta: Meta) -> None:
    """What was known of its members is forgotten."""
    meta.shop.synchronise(meta.connector())
    meta.sandbox.account.audiences.clear()
    meta.shop.synchronise(meta.connector())
    assert meta.held() == ALL_RIGHT


def test_an_invalid_row_fails_alone(meta: Meta) -> None:
    """Meta's samples are found again in the batch."""
    connector = meta.connector()
    remote = connector.ensure(TIER)
    hashes = [("a" * 64, ""), ("not a hash", ""), ("b" * 64, "")]
    delivery = connector.add(remote.remote_id, TIER, [Member(f"c{i}", each) for i, each in enumerate(hashes)])
    assert delivery.rejected == ((1, "Meta refuses the row as invalid"),)
    assert len(meta.sandbox.account.audiences[remote.remote_id].members) == 2


def test_a_flagged_audience_is_a_persons_business(meta: Meta) -> None:
    """It is reported, and its members stay as they are."""
    meta.shop.synchronise(meta.connector())
    flagged = next(iter(meta.sandbox.account.audiences.values()))
    flagged.name = "high income"
    connector = meta.connector()
    status = connector._client.get(f"{connector._account}/customaudiences")["data"][0]["operation_status"]["code"]
    with pytest.raises(Refused, match=r"1713230.*flagged"):
        connector.add(flagged.audience_id, TIER, [Member("c1", ("a" * 64, ""))])
    assert status == 471


def test_an_audience_does_not_fall_below_its_minimum(meta: Meta) -> None:
    """The removal is refused with the reason, and tried again at the next synchronisation."""
    meta.shop.synchronise(meta.connector())
    meta.sandbox.account.smallest = 100
    meta.shop.score("c0", "Low-CLV", 10_000)
    report = meta.shop.synchronise(meta.connector())["CLV tier A"]
    assert (report.status, "more than 100 members" in report.detail) == ("refused", True)
    meta.sandbox.account.smallest = 0
    meta.shop.synchronise(meta.connector())
    assert meta.held() == ALL_RIGHT


def test_a_wrong_token_is_said(meta: Meta) -> None:
    """With the setting to mend."""
    report = meta.shop.synchronise(meta.connector(token="wrong"))["CLV tier A"]
    assert (report.status, "CLV_META_ACCESS_TOKEN" in report.detail, "wrong" in report.detail) == (
        "refused",
        True,
        False,
    )


@pytest.mark.parametrize(
    ("fault", "error"),
    [("drop", Uncertain), ("mute", Uncertain), ("error", Uncertain), ("busy", NotDone), ("throttle", Throttled)],
)
def test_how_a_call_can_end(meta: Meta, fault: str, error: type[Exception]) -> None:
    """Each way in our words; a busy platform is asked four times."""
    connector = meta.connector()
    remote = connector.ensure(TIER)
    meta.sandbox.requests.clear()
    meta.sandbox.faults = lambda _method, _path: fault
    with pytest.raises(error) as raised:
        connector.add(remote.remote_id, TIER, [Member("c1", ("a" * 64, ""))])
    assert len(meta.sandbox.requests) == (4 if fault == "busy" else 1)
    if isinstance(raised.value, Throttled):
        assert raised.value.until_ms == meta.shop.now_ms + 7 * 60_000


def test_a_batch_of_a_replacement_is_never_sent_twice(meta: Meta) -> None:
    """A busy platform may have taken it: whether it did is unknown."""
    connector = meta.connector()
    remote = connector.ensure(TIER)
    meta.sandbox.requests.clear()
    meta.sandbox.faults = lambda _method, _path: "busy"
    with pytest.raises(Uncertain):
        connector.replace(remote.remote_id, TIER, [Member("c1", ("a" * 64, ""))], Replacement(7, 1, 1, is_last=True))
    assert len(meta.sandbox.requests) == 1


def test_nobody_there_changes_nothing(meta: Meta) -> None:
    """A connection that was not made is no call."""
    connector = meta.connector()
    meta.sandbox.__exit__()
    with pytest.raises(NotDone, match="cannot be reached"):
        connector.ensure(TIER)


def test_a_replacement_keeps_its_rules(meta: Meta) -> None:
    """Batches come in order and once; a session closes after ninety minutes, and what it brought is gone."""
    connector = meta.connector()
    remote = connector.ensure(TIER)
    rows = [Member(f"c{i}", (f"{i:064x}", "")) for i in range(4)]
    connector.replace(remote.remote_id, TIER, rows[:2], Replacement(7, 1, 4, is_last=False))
    with pytest.raises(SessionLost):
        connector.replace(remote.remote_id, TIER, rows[:2], Replacement(7, 1, 4, is_last=False))
    with pytest.raises(SessionLost):
        connector.add(remote.remote_id, TIER, rows)
    meta.shop.now_ms += 5_400_000
    with pytest.raises(SessionLost):
        connector.replace(remote.remote_id, TIER, rows[2:], Replacement(7, 2, 4, is_last=True))
    assert meta.sandbox.account.audiences[remote.remote_id].members == {}


@pytest.mark.parametrize("seed", range(110))
def test_faults_end_in_the_wanted_membership(database_of: Callable[[], Database], seed: int) -> None:
    """Dropped, muted, repeated, refused, throttled and crashed: a hundred runs and more end exactly as wanted."""
    chance = random.Random(seed)
    shop = Shop(database_of())
    kinds = ("drop", "mute", "twice", "busy", "error", "throttle")
    is_calm = False

    def fault(_method: str, _path: str) -> str:
        return "" if is_calm or chance.random() > 0.25 else chance.choice(kinds)

    with Sandbox(token=TOKEN, account_id="42", clock=shop.clock, faults=fault) as sandbox:
        meta = Meta(shop, sandbox, most_rows=3)
        for _ in range(4):
            for _ in range(chance.randrange(2, 8)):
                customer = f"c{chance.randrange(10)}"
                if customer in shop.scored and chance.random() < 0.1:
                    shop.erase(customer)
                    shop.now_ms += 1
                else:
                    shop.score(customer, chance.choice(SEGMENTS), chance.randrange(100, 10**6), churn=chance.random())
            shop.synchronise(meta.connector())
            for audience in sandbox.account.audiences.values():
                audience.is_in_use = chance.random() < 0.5 and not audience.origin_id
            shop.now_ms += chance.randrange(1, 5_400_000)
        is_calm = True
        shop.now_ms += 5_400_000
        shop.synchronise(meta.connector())
        meta.close()
        assert meta.held() == ALL_RIGHT


def test_first_purchases_are_told_once_with_what_they_are_worth(meta: Meta) -> None:
    """Who is unknown or came too late is noted so; a refused event does not take the others with it."""
    from ads.connectors.meta_conversions import MetaConversions
    from ads.conversions import send_conversions
    from ads.people import People
    from storage.audiences import apply_scores
    from storage.conversions import waiting_conversions

    shop, day = meta.shop, 86_400_000
    purchases = {"c0": 1, "c1": 2, "c2": 8, "nobody": 1}
    rows = [
        {
            "event_id": f"e-{customer}",
            "customer_id": customer,
            "occurred_ms": shop.now_ms - age * day,
            "value_minor": 1_999,
            "predicted_minor": 12_345,
            "status": "waiting",
            "detail": "",
            "at_ms": -1,
        }
        for customer, age in purchases.items()
    ]
    apply_scores(shop.database, [], [], {}, conversions=rows)
    connector = meta.connector(pixel_id="77")
    assert meta.client is not None
    sender = MetaConversions(meta.client, currency="EUR")
    people = People(connector, shop.identities, key=b"k", suppressed=dict)
    meta.sandbox.faults = lambda _method, _path: "mute"
    assert send_conversions(shop.database, sender, people, now_ms=shop.now_ms) == 0
    meta.sandbox.faults = lambda _method, _path: ""
    assert send_conversions(shop.database, sender, people, now_ms=shop.now_ms) == 2
    told = meta.sandbox.account.events
    assert {name: each["custom_data"] for name, each in told.items()} == {
        f"Purchase/e-{customer}": {"currency": "EUR", "value": 19.99, "predicted_ltv": 123.45}
        for customer in ("c0", "c1")
    }
    assert waiting_conversions(shop.database, limit=10) == []
    apply_scores(shop.database, [], [], {}, conversions=rows)
    assert waiting_conversions(shop.database, limit=10) == []
