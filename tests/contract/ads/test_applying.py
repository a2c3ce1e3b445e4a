"""Budgets are changed after approval, all or none, and can be set back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ads.applying import Approval, apply_proposal, change_id_of, roll_back
from ads.budgets import read_budgets
from ads.connector import AudienceError, NotDone, Refused, Throttled
from ads.connectors.meta_budget import MetaBudgets
from ads.connectors.meta_client import MetaClient, MetaConfig
from ads.sandbox.server import Sandbox
from ads.sandbox.state import AdSet
from clv.outcomes import SEGMENTS
from storage.batch import SinkBatch
from storage.budget_changes import BudgetChange, get_change, list_changes, save_change
from storage.segment_budgets import FRESH_MS, HOUR_MS, BudgetStand, budgets_at
from storage.sinking import write_batch
from tests.contract.ads.shop import START_MS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from storage.engine import Database

APPROVED = Approval(by_name="mary", days=10, distrust="")
AMOUNTS = {"High-CLV": 60_000, "Growth-Potential": 30_000, "Low-CLV": 10_005}


def propose(database: Database, proposal_id: str, amounts: dict[str, int], *, as_of_ms: int = START_MS) -> None:
    """Store a proposal as the sink does."""
    rows: list[dict[str, Any]] = [
        {
            "event_id": f"{proposal_id}-{segment}",
            "proposal_id": proposal_id,
            "as_of_ms": as_of_ms,
            "method": "test",
            "currency": "USD",
            "total_budget_minor": sum(amounts.values()),
            "segment": segment,
            "customers": 1,
            "total_clv_minor": 1,
            "mean_clv_minor": 1,
            "share": 0.5,
            "amount_minor": amounts[segment],
            "baseline_amount_minor": 1,
            "cac_target_minor": 1,
            "strategy": "",
            "binding_constraint": "",
            "warnings": "[]",
        }
        for segment in SEGMENTS
    ]
    write_batch(database, SinkBatch(budget_signals=rows))


class Meta:
    """A sandbox with four ad sets, and its budgets."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.now_ms = START_MS
        sandbox.account.clock = self.clock
        for name, budget in (("1", 1_000), ("2", 3_000), ("3", 2_000), ("4", 500)):
            sandbox.account.ad_sets[name] = AdSet(name, f"ad set {name}", budget)
        config = MetaConfig(base_url=sandbox.url, api_version="v26.0", access_token="t", ad_account_id="42", digits=2)
        self.client = MetaClient(config, clock=self.clock, sleep=lambda _: None)
        ad_sets = {"High-CLV": ("1", "2"), "Growth-Potential": ("3",), "Low-CLV": ("4",)}
        self.budgets = MetaBudgets(self.client, ad_sets, currency="USD")

    def clock(self) -> int:
        """Return the time."""
        return self.now_ms

    def daily(self) -> dict[str, int]:
        """Return what each ad set may spend."""
        return {each.ad_set_id: each.daily_budget for each in self.sandbox.account.ad_sets.values()}


@pytest.fixture
def meta() -> Iterator[Meta]:
    """Give a Meta."""
    with Sandbox(token="t", account_id="42") as sandbox:
        made = Meta(sandbox)
        yield made
        made.client.close()


def apply(database: Database, meta: Meta, proposal_id: str = "", approval: Approval = APPROVED) -> str:
    """Carry out a proposal and return how it stands."""
    return apply_proposal(database, meta.budgets, proposal_id, approval, clock=meta.clock).status


BEFORE = {"1": 1_000, "2": 3_000, "3": 2_000, "4": 500}


def test_a_proposal_is_carried_out_once_and_set_back(database: Database, meta: Meta) -> None:
    """Each segment's amount a day goes to its ad sets in their proportion; who approved it is kept."""
    propose(database, "p1", AMOUNTS)
    assert apply(database, meta, "p1") == "applied"
    assert meta.daily() == {"1": 1_500, "2": 4_500, "3": 3_000, "4": 1_000}
    edits = sum(len(each.edits_ms) for each in meta.sandbox.account.ad_sets.values())
    assert apply(database, meta) == "applied"
    assert sum(len(each.edits_ms) for each in meta.sandbox.account.ad_sets.values()) == edits
    change = list_changes(database)[0]
    assert (change.by_name, change.amounts_before["High-CLV"], change.amounts_after["Low-CLV"]) == (
        "mary",
        4_000,
        1_000,
    )
    assert roll_back(database, meta.budgets, "p1").status == "rolled_back"
    assert meta.daily() == BEFORE


@pytest.mark.parametrize(
    ("proposal_id", "distrust", "says"),
    [
        ("older", "", "out of date"),
        ("none", "", "there is no proposal none"),
        ("newer", "drift was noticed", "nothing is changed: drift was noticed"),
    ],
)
def test_what_may_not_be_carried_out_is_refused(
    database: Database, meta: Meta, proposal_id: str, distrust: str, says: str
) -> None:
    """An older proposal, an unknown one, and any while the models are distrusted."""
    propose(database, "older", AMOUNTS)
    propose(database, "newer", AMOUNTS, as_of_ms=START_MS + 1)
    with pytest.raises(Refused, match=says):
        apply(database, meta, proposal_id, Approval(by_name="mary", days=10, distrust=distrust))
    assert (meta.daily(), list_changes(database)) == (BEFORE, [])


def test_learning_ad_sets_are_left_alone(database: Database, meta: Meta) -> None:
    """Nothing is changed, of the other segments neither."""
    propose(database, "p1", AMOUNTS)
    meta.sandbox.account.ad_sets["4"].learning = "LEARNING"
    with pytest.raises(Refused, match="Low-CLV are learning"):
        apply(database, meta)
    assert meta.daily() == BEFORE


def test_a_change_that_fails_in_the_middle_is_taken_back(database: Database, meta: Meta) -> None:
    """The platform's reason is kept; everything is as it was."""
    propose(database, "p1", AMOUNTS)
    meta.sandbox.account.ad_sets["4"].edits_ms = [START_MS] * 4
    with pytest.raises(Throttled, match="four times an hour"):
        apply(database, meta)
    assert meta.daily() == BEFORE
    change = get_change(database, change_id_of("p1"))
    assert change is not None
    assert (change.status, "everything is as it was before" in change.detail) == ("failed", True)


def test_a_budget_below_the_minimum_is_refused(database: Database, meta: Meta) -> None:
    """Before anything is changed."""
    propose(database, "p1", AMOUNTS | {"Low-CLV": 990})
    with pytest.raises(Refused, match="Low-CLV takes 100 minor units a day"):
        apply(database, meta)
    assert (meta.daily(), list_changes(database)) == (BEFORE, [])


def test_an_ad_set_below_the_minimum_is_refused(database: Database, meta: Meta) -> None:
    """Its segment's budget is large enough, its part is not: what was changed before it is taken back."""
    meta.sandbox.account.ad_sets["1"].daily_budget = 100
    before = meta.daily()
    propose(database, "p1", AMOUNTS | {"High-CLV": 20_000})
    with pytest.raises(AudienceError, match="1885272"):
        apply(database, meta)
    assert meta.daily() == before


def test_how_budgets_stand_is_read_for_the_recommendation(database: Database, meta: Meta) -> None:
    """The least of all ad sets together, the learning phase, and changes from here within the hour, for a day."""
    meta.sandbox.account.ad_sets["4"].learning = "LEARNING"
    read_budgets(database, meta.budgets, now_ms=START_MS)
    propose(database, "p1", AMOUNTS)
    change = BudgetChange(
        change_id_of("p1"), "p1", "meta", START_MS, "mary", "rolled_back", {"High-CLV": 4_000}, {"High-CLV": 6_000}
    )
    save_change(database, change)
    assert budgets_at(database, "meta", now_ms=START_MS + 1) == {
        "High-CLV": BudgetStand(4_000, 200, is_learning=False, edits_last_hour=2),
        "Growth-Potential": BudgetStand(2_000, 100, is_learning=False, edits_last_hour=0),
        "Low-CLV": BudgetStand(500, 100, is_learning=True, edits_last_hour=0),
    }
    later = budgets_at(database, "meta", now_ms=START_MS + HOUR_MS)
    assert later["High-CLV"].edits_last_hour == 0
    assert budgets_at(database, "meta", now_ms=START_MS + FRESH_MS) == {}
    meta.sandbox.__exit__()
    read_budgets(database, meta.budgets, now_ms=START_MS + 1)
    assert len(budgets_at(database, "meta", now_ms=START_MS + 2)) == 3


def test_who_follows_a_process_that_died_ends_its_change(database: Database, meta: Meta) -> None:
    """The amounts before are those before it, not those in its middle."""
    propose(database, "p1", AMOUNTS)

    class Dying(MetaBudgets):
        """Dies before the second segment."""

        def change(self, segment: str, daily_minor: int) -> None:
            """Change the first segment, and no other."""
            if segment != "Growth-Potential":
                raise KeyboardInterrupt
            super().change(segment, daily_minor)

    dying = Dying(meta.client, meta.budgets._ad_sets, currency="USD")
    with pytest.raises(KeyboardInterrupt):
        apply_proposal(database, dying, "p1", APPROVED, clock=meta.clock)
    interrupted = get_change(database, change_id_of("p1"))
    assert interrupted is not None
    assert (interrupted.status, meta.daily()) == ("applying", BEFORE | {"3": 3_000})
    assert apply(database, meta) == "applied"
    roll_back(database, meta.budgets, "p1")
    assert meta.daily() == BEFORE


def test_an_unknown_ad_set_is_said(database: Database, meta: Meta) -> None:
    """With the setting to mend."""
    propose(database, "p1", AMOUNTS)
    meta.budgets = MetaBudgets(meta.client, {"High-CLV": ("9",)}, currency="USD")
    with pytest.raises(Refused, match="no ad set 9"):
        apply(database, meta)


def test_nobody_there_changes_nothing(database: Database, meta: Meta) -> None:
    """It can be approved again."""
    propose(database, "p1", AMOUNTS)
    meta.sandbox.__exit__()
    with pytest.raises(NotDone):
        apply(database, meta)
    assert list_changes(database) == []
