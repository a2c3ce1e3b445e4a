"""Carrying out a budget proposal at a platform: after approval, all of it or nothing, and back again.

What is to be done is stored before it is done, with the amounts before; setting an amount twice is setting it once. So
a process that dies in the middle is followed by one that ends it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec
import structlog

from ads.connector import AudienceError, Refused
from clv.outcomes import event_id
from storage.budget_changes import BudgetChange, find_proposal, get_change, save_change

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from storage.budget_changes import Proposal
    from storage.engine import Database

log = structlog.get_logger(__name__)


class SegmentBudget(msgspec.Struct, frozen=True):
    """What a segment may spend a day now, and the least that the platform takes, minor units.

    While its ad sets are learning it stays as it is.
    """

    daily_minor: int
    is_learning: bool = False
    minimum_minor: int = 0


class BudgetGateway(Protocol):
    """A platform's side of budgets; calls and errors as for an ``AudienceConnector``."""

    platform: str
    """Its name."""

    def present(self) -> Mapping[str, SegmentBudget]:
        """Return each segment's budget; one without ad sets is missing."""
        ...

    def change(self, segment: str, daily_minor: int) -> None:
        """Set a segment's budget a day; setting what is there changes nothing."""
        ...


class Approval(msgspec.Struct, frozen=True, kw_only=True):
    """Who approved a proposal, and for how many days its total is.

    ``distrust`` says why the models should not move money now; then nothing is done.
    """

    by_name: str
    days: int
    distrust: str


def change_id_of(proposal_id: str) -> str:
    """Return the id of carrying out a proposal: there is one a proposal."""
    return event_id("budget-change", proposal_id)


def daily_amounts(proposal: Proposal, days: int) -> dict[str, int]:
    """Return a proposal's amounts a day, minor units, rounded down: no more than the total is spent."""
    return {segment: amount // days for segment, amount in proposal.amounts.items()}


def apply_proposal(
    database: Database, gateway: BudgetGateway, proposal_id: str, approval: Approval, *, clock: Callable[[], int]
) -> BudgetChange:
    """Carry out a proposal; one that was carried out already is left as it is.

    Parameters
    ----------
    proposal_id
        Empty for the newest.
    clock
        Epoch milliseconds.

    Raises
    ------
    Refused
        When there is no such proposal, a newer one, or the models are distrusted; nothing was changed.
    AudienceError
        When the platform did not do it; what was changed is as it was before, or the change says that it is not.
    """
    proposal = _current(database, proposal_id)
    done = get_change(database, change_id_of(proposal.proposal_id))
    if done is not None and done.status == "applied":
        return done
    if approval.distrust:
        raise Refused(f"nothing is changed: {approval.distrust}", "look at the models first; a proposal can wait")
    wanted = daily_amounts(proposal, approval.days)
    present = gateway.present()
    before = done.amounts_before if done is not None and done.status == "applying" else {}
    change = BudgetChange(
        change_id_of(proposal.proposal_id),
        proposal.proposal_id,
        gateway.platform,
        clock(),
        approval.by_name,
        "applying",
        before or {segment: budget.daily_minor for segment, budget in present.items()},
        wanted,
    )
    _check(wanted, present)
    save_change(database, change)
    return _carry_out(database, gateway, change, wanted, "applied")


def roll_back(database: Database, gateway: BudgetGateway, change_id: str) -> BudgetChange:
    """Set the amounts that were there before a change.

    Raises
    ------
    Refused
        When there is no such change, or it was not carried out.
    AudienceError
        When the platform did not do it.
    """
    change = get_change(database, change_id) or get_change(database, change_id_of(change_id))
    if change is None or change.status not in ("applied", "failed", "applying", "rolling_back"):
        raise Refused(f"there is no change {change_id} that could be rolled back", "clv ads apply --list")
    change = change._replace(status="rolling_back")
    save_change(database, change)
    return _carry_out(database, gateway, change, change.amounts_before, "rolled_back")


def _current(database: Database, proposal_id: str) -> Proposal:
    newest = find_proposal(database)
    if newest is None or (proposal_id and find_proposal(database, proposal_id) is None):
        raise Refused(
            f"there is no proposal {proposal_id}".rstrip(), "the trainer makes them, see clv.budget-signals.v1"
        )
    if proposal_id and newest.proposal_id != proposal_id:
        raise Refused(f"proposal {proposal_id} is out of date", f"the newest is {newest.proposal_id}")
    return newest


def _check(wanted: Mapping[str, int], present: Mapping[str, SegmentBudget]) -> None:
    missing = sorted(wanted.keys() - present.keys())
    if missing:
        raise Refused(f"no ad set is known for {', '.join(missing)}", "name them in CLV_META_AD_SETS")
    small = [name for name, amount in wanted.items() if amount < present[name].minimum_minor]
    if small:
        least = ", ".join(f"{name} takes {present[name].minimum_minor} minor units a day" for name in small)
        raise Refused(
            f"the platform's minimum is not reached: {least}", "raise CLV_BUDGET_TOTAL, or have fewer ad sets"
        )
    learning = [
        name for name, amount in wanted.items() if present[name].is_learning and amount != present[name].daily_minor
    ]
    if learning:
        raise Refused(
            f"ad sets of {', '.join(learning)} are learning: a change would begin that anew", "wait for its end"
        )


def _carry_out(
    database: Database, gateway: BudgetGateway, change: BudgetChange, amounts: Mapping[str, int], status: str
) -> BudgetChange:
    """Set every amount; where one is refused, set those that were changed back."""
    moved: list[str] = []
    try:
        for segment, amount in amounts.items():
            gateway.change(segment, amount)
            moved.append(segment)
    except AudienceError as problem:
        detail = str(problem)
        if status == "applied":
            detail = _undo(gateway, change, moved, detail)
        save_change(database, change._replace(status="failed", detail=detail))
        raise
    done = change._replace(status=status, detail="")
    save_change(database, done)
    log.info("budget changed", platform=change.platform, status=status, by=change.by_name, proposal=change.proposal_id)
    return done


def _undo(gateway: BudgetGateway, change: BudgetChange, moved: list[str], detail: str) -> str:
    try:
        for segment in moved:
            gateway.change(segment, change.amounts_before[segment])
    except AudienceError as problem:
        return f"{detail}; and {', '.join(moved)} could not be set back: {problem}"
    return f"{detail}; everything is as it was before"
