"""Whatever happens in between, an audience ends with whom the scores want."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from ads.connector import Refused
from ads.identity import Identity
from clv.audiences import AUDIENCES, SEED
from storage import tables
from storage.audiences import members_with, take_turn
from tests.contract.ads.platform import Crash, MemoryPlatform
from tests.contract.ads.shop import START_MS, Shop

if TYPE_CHECKING:
    from collections.abc import Callable

    from storage.engine import Database

NAMES = [spec.name for spec in AUDIENCES]
SEGMENTS = ("High-CLV", "Growth-Potential", "Low-CLV")


@pytest.fixture
def shop(database: Database) -> Shop:
    """Give a shop of eight customers."""
    made = Shop(database)
    for number in range(8):
        made.score(f"c{number}", SEGMENTS[number % 3], 10_000 * (number + 1), churn=0.9 if number == 7 else 0.1)
    return made


def held(platform: MemoryPlatform, shop: Shop) -> dict[str, bool]:
    """Tell of each audience whether it holds exactly whom it should."""
    return {name: platform.members.get(name, {}) == shop.wanted(name) for name in NAMES}


ALL_RIGHT = dict.fromkeys(NAMES, True)


@pytest.mark.parametrize("is_in_use", [False, True], ids=["deltas", "replaced"])
def test_audiences_become_what_the_scores_want(shop: Shop, is_in_use: bool) -> None:  # noqa: FBT001  # a case
    """At first, and after customers moved, came, were renamed, opted out and were erased."""
    platform = MemoryPlatform(shop.clock, is_in_use=is_in_use)
    reports = shop.synchronise(platform)
    assert held(platform, shop) == ALL_RIGHT
    assert {report.status for report in reports.values()} == {"ready"}
    assert (reports["CLV tier A"].added, reports["CLV tier A"].wanted, reports["CLV tier A"].present) == (3, 3, 3)
    shop.now_ms += 1
    shop.score("c0", "Low-CLV", 500, reason="silence")
    shop.score("new", "High-CLV", 90_000)
    shop.identities["c3"] = Identity(email="moved@example.com")
    shop.identities["c6"] = Identity(email="c6@example.com", has_opted_out=True)
    shop.erase("c1")
    shop.synchronise(platform)
    assert held(platform, shop) == ALL_RIGHT
    assert {spec: members_with(shop.database, "memory", spec, ["removing", "erasing", "adding"]) for spec in NAMES} == (
        {name: [] for name in NAMES}
    )


def test_an_audience_on_an_active_ad_set_is_never_changed_by_deltas(shop: Shop) -> None:
    """Its learning phase would begin again."""
    platform = MemoryPlatform(shop.clock, is_in_use=True)
    shop.synchronise(platform)
    shop.score("c0", "Low-CLV", 500)
    shop.synchronise(platform)
    assert {name for name, _, _ in platform.calls} == {"ensure", "replace"}


def test_many_changes_are_one_operation(shop: Shop) -> None:
    """What a customer went through between two synchronisations costs one row an audience."""
    platform = MemoryPlatform(shop.clock, most_rows=100)
    shop.synchronise(platform)
    platform.calls.clear()
    for segment in (*SEGMENTS * 3, "Growth-Potential"):
        shop.score("c0", segment, 10_000)
    shop.synchronise(platform)
    moves = [call for call in platform.calls if call[0] != "ensure"]
    assert moves == [("remove", "CLV tier A", 1), ("add", "CLV tier B", 1)]


def test_a_second_synchronisation_has_nothing_to_do(shop: Shop) -> None:
    """Nor has one after values moved by little."""
    platform = MemoryPlatform(shop.clock)
    shop.synchronise(platform)
    platform.calls.clear()
    shop.score("c0", "High-CLV", 10_500)
    shop.synchronise(platform)
    assert {name for name, _, _ in platform.calls} == {"ensure"}


def test_a_dry_run_says_what_and_why_and_does_nothing(shop: Shop) -> None:
    """No platform is asked, and nothing is stored."""
    platform = MemoryPlatform(shop.clock)
    shop.identities["c0"] = Identity(email="not an address")
    report = shop.synchronise(platform, is_dry_run=True)["CLV tier A"]
    assert (report.status, report.wanted, report.added, report.reasons) == ("dry run", 2, 2, {"added: order": 2})
    assert report.rejected == {"the e-mail address has not the form name@domain": 1}
    assert platform.calls == []
    assert members_with(shop.database, "memory", "CLV tier A", ["adding"]) == []


def test_a_refused_row_fails_alone(shop: Shop) -> None:
    """It is reported with its reason, not tried again by itself, and tried again when asked for."""
    platform = MemoryPlatform(shop.clock, most_rows=100)
    platform.refuses = frozenset({"c3"})
    report = shop.synchronise(platform)["CLV tier A"]
    assert (report.present, report.rejected) == (2, {"refused": 1})
    platform.calls.clear()
    again = shop.synchronise(platform)["CLV tier A"]
    assert (again.added, again.rejected) == (0, {"refused": 1})
    platform.refuses = frozenset()
    assert shop.synchronise(platform, retries_rejected=True)["CLV tier A"].added == 1
    assert held(platform, shop) == ALL_RIGHT


def test_an_unknown_identity_is_waited_for(shop: Shop) -> None:
    """A customer without an address is counted, and told of once there is one."""
    del shop.identities["c0"]
    shop.identities["c0"] = Identity()
    platform = MemoryPlatform(shop.clock)
    report = shop.synchronise(platform)["CLV tier A"]
    assert report.rejected == {"no e-mail address or telephone number is known": 1}
    shop.identities["c0"] = Identity(email="now@example.com")
    shop.synchronise(platform)
    assert held(platform, shop) == ALL_RIGHT


def test_customers_who_share_an_address(shop: Shop) -> None:
    """The address stays while one of them is wanted."""
    platform = MemoryPlatform(shop.clock)
    shop.identities["c3"] = shop.identities["c0"]
    shop.synchronise(platform)
    shop.score("c0", "Low-CLV", 500)
    shop.synchronise(platform)
    assert shop.wanted("CLV tier A").keys() == platform.members["CLV tier A"].keys()


def test_a_large_move_asks_first(shop: Shop) -> None:
    """More than the share that may move unasked waits for leave; whom an erasure concerns does not wait."""
    platform = MemoryPlatform(shop.clock, most_rows=1_000)
    for number in range(1_000):
        shop.score(f"m{number}", "High-CLV", 70_000)
    shop.synchronise(platform)
    before = dict(platform.members["CLV tier A"])
    for number in range(400):
        shop.score(f"m{number}", "Low-CLV", 70_000)
    shop.erase("m999")
    gone = next(iter(before.keys() - {*shop.wanted("CLV tier A"), *shop.wanted("CLV tier C")}))
    report = shop.synchronise(platform, allows_large=False)["CLV tier A"]
    assert (report.status, "400 of 1,0" in report.detail) == ("asks", True)
    assert before.keys() - platform.members["CLV tier A"].keys() == {gone}
    shop.synchronise(platform, allows_large=False, most_moved_share=1.0)
    assert held(platform, shop) == ALL_RIGHT


def test_throttling_makes_the_whole_account_wait(shop: Shop) -> None:
    """Nothing is asked of it before its time."""
    platform = MemoryPlatform(shop.clock, faults=iter(["", "throttle"]))
    reports = shop.synchronise(platform)
    assert {report.status for report in reports.values()} == {"waiting"}
    assert reports["CLV tier A"].waiting_until == "2030-03-17T17:47:40Z"
    calls = len(platform.calls)
    shop.synchronise(platform)
    assert len(platform.calls) == calls
    shop.now_ms += 60_000
    shop.synchronise(platform)
    assert held(platform, shop) == ALL_RIGHT


def test_an_erased_customer_does_not_come_back_by_an_old_score(shop: Shop) -> None:
    """Only a score of a later moment than the erasure is a customer again; nothing but a hash and a time stays."""
    platform = MemoryPlatform(shop.clock)
    shop.synchronise(platform)
    shop.now_ms += 1_000
    shop.erase("c0")
    shop.now_ms -= 1_000
    shop.score("c0", "High-CLV", 10_000)
    shop.now_ms += 1_000
    shop.synchronise(platform)
    assert ("c0@example.com" in str(shop.wanted(SEED)), len(platform.members[SEED])) == (False, 7)
    with shop.database.reading() as connection:
        kept = connection.execute(select(tables.suppressions)).mappings().all()
        rows = connection.execute(select(tables.audience_members.c.customer_id)).scalars().all()
    assert [(len(row["digest"]), row["cause"], row["at_ms"]) for row in kept] == [(64, "erased", START_MS + 1_000)]
    assert "c0" not in rows
    shop.now_ms += 1
    shop.score("c0", "High-CLV", 10_000)
    shop.synchronise(platform)
    assert held(platform, shop) == ALL_RIGHT


def test_one_synchronises_at_a_time(shop: Shop) -> None:
    """A second one is refused, until the turn of the first has ended by itself."""
    assert take_turn(shop.database, "memory", "other", now_ms=shop.now_ms, until_ms=shop.now_ms + 1_000)
    with pytest.raises(Refused, match="going on"):
        shop.synchronise(MemoryPlatform(shop.clock))
    shop.now_ms += 1_000
    shop.synchronise(MemoryPlatform(shop.clock))


@pytest.mark.parametrize("kind", ["deltas", "replaced"])
@pytest.mark.parametrize("seed", range(30))
def test_faults_and_crashes_change_nothing_in_the_end(
    database_of: Callable[[], Database], seed: int, kind: str
) -> None:
    """With calls that fail, that end without an answer and processes that die, audiences end as wanted."""
    chance = random.Random(seed)
    shop = Shop(database_of())
    kinds = ("refuse", "lose", "mute", "throttle", "crash", "crash after")

    def faults() -> str:
        return chance.choice(kinds) if chance.random() < 0.3 else ""

    platform = MemoryPlatform(shop.clock, faults=iter(faults, None), is_in_use=kind == "replaced")
    for _ in range(6):
        for _ in range(chance.randrange(1, 8)):
            customer = f"c{chance.randrange(12)}"
            if customer in shop.scored and chance.random() < 0.1:
                shop.erase(customer)
                shop.now_ms += 1
            else:
                shop.score(customer, chance.choice(SEGMENTS), chance.randrange(100, 10**6), churn=chance.random())
        try:
            shop.synchronise(platform)
        except Crash:
            shop.now_ms += 600_000  # the turn of the dead ends
        shop.now_ms += chance.randrange(1, 3_600_000)
    platform._faults = iter(())
    shop.now_ms += 5_400_000
    shop.synchronise(platform)
    assert {name: platform.members[name].keys() == shop.wanted(name).keys() for name in NAMES} == ALL_RIGHT
