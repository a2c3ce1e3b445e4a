"""Budget changes that somebody asked for through the API, carried out by the ads role: it alone knows the platform."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from ads.applying import Approval, apply_proposal, roll_back
from ads.platforms import Platform, now_ms
from budget.asking import distrust
from clv.errors import ScorerError, StoreError
from clv.published import SCORER_NAME
from storage.budget_changes import get_change, list_changes, save_change
from storage.trust import grounds_of

if TYPE_CHECKING:
    from clv.settings import Settings
    from storage.engine import Database

log = structlog.get_logger(__name__)


def distrust_of(database: Database) -> str:
    """Say why the models should not move money now; empty where they may.

    Raises
    ------
    StoreUnavailable
        When a retry may help.
    """
    return distrust(**grounds_of(database, SCORER_NAME)._asdict())


def fulfil_wishes(database: Database, platform: Platform, settings: Settings) -> bool:
    """Carry out the changes that are wanted, and end those that a process left in the middle; failures are noted.

    Returns
    -------
    bool
        Whether there were any.
    """
    try:
        wishes = list_changes(database, statuses=("wanted", "applying", "rolling_back"))
    except StoreError as problem:
        log.warning("budget changes wait", problem=str(problem))
        return False
    for wish in wishes:
        try:
            if wish.status == "rolling_back":
                roll_back(database, platform.budgets, wish.change_id)
            else:
                approval = Approval(by_name=wish.by_name, days=settings.budget_days, distrust=distrust_of(database))
                apply_proposal(database, platform.budgets, wish.proposal_id, approval, clock=now_ms)
        except ScorerError as problem:
            log.warning("budget change failed", change=wish.change_id, problem=str(problem))
            still = get_change(database, wish.change_id)
            if still is not None and still.status in ("wanted", "applying", "rolling_back"):
                save_change(database, still._replace(status="failed", detail=str(problem)))
    return bool(wishes)
