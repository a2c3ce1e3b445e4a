"""Budget changes that were asked for through the API are carried out by the ads role, and ended after a crash."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from ads.applying import change_id_of
from ads.platforms import open_platform
from ads.wishes import fulfil_wishes
from clv.outcomes import SEGMENTS
from clv.settings import Settings
from storage.budget_changes import BudgetChange, get_change, save_change
from tests.contract.ads.shop import START_MS
from tests.contract.ads.test_applying import propose
from tests.contract.api.test_spending import running

if TYPE_CHECKING:
    from pathlib import Path

    from storage.engine import Database

AMOUNTS: dict[str, int] = dict.fromkeys(SEGMENTS, 30_000)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Give settings whose budgets are a file."""
    return replace(Settings(), data_dir=tmp_path)


def status_after(database: Database, settings: Settings, proposal_id: str) -> str:
    """Let the role look once; return how the proposal's change stands."""
    with closing(open_platform(settings, database)) as platform:
        fulfil_wishes(database, platform, settings)
    found = get_change(database, change_id_of(proposal_id))
    assert found is not None
    return found.status


def want(database: Database, proposal_id: str, status: str = "wanted") -> None:
    """Store a wish as the API does."""
    change = BudgetChange(change_id_of(proposal_id), proposal_id, "file", START_MS, "mary", status, {}, {})
    save_change(database, change)


def test_a_wish_is_carried_out_and_taken_back(sqlite_database: Database, settings: Settings) -> None:
    """Once; and back when that is wanted."""
    running(sqlite_database)
    propose(sqlite_database, "p1", AMOUNTS)
    want(sqlite_database, "p1")
    assert status_after(sqlite_database, settings, "p1") == "applied"
    done = get_change(sqlite_database, change_id_of("p1"))
    assert done is not None
    assert (done.by_name, done.amounts_after) == ("mary", dict.fromkeys(SEGMENTS, 1_000))
    save_change(sqlite_database, done._replace(status="rolling_back"))
    assert status_after(sqlite_database, settings, "p1") == "rolled_back"


def test_a_wish_that_may_not_be_carried_out_says_why(sqlite_database: Database, settings: Settings) -> None:
    """Nothing runs: the change has failed, with the reason, and is not tried again."""
    propose(sqlite_database, "p1", AMOUNTS)
    want(sqlite_database, "p1")
    assert status_after(sqlite_database, settings, "p1") == "failed"
    found = get_change(sqlite_database, change_id_of("p1"))
    assert found is not None
    assert "no model has been published yet" in found.detail
    running(sqlite_database)
    assert status_after(sqlite_database, settings, "p1") == "failed"


def test_what_was_left_in_the_middle_is_ended(sqlite_database: Database, settings: Settings) -> None:
    """By whoever comes next."""
    running(sqlite_database)
    propose(sqlite_database, "p1", AMOUNTS)
    want(sqlite_database, "p1", status="applying")
    assert status_after(sqlite_database, settings, "p1") == "applied"
