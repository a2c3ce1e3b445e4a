"""Budget proposals carried out and rolled back: asked for here, done by the ads role."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from api.context import Context, Shared
from api.overview import distrust_of
from api.problems import ApiProblem, documented
from api.schemas.budget import BudgetChange, BudgetChanges
from api.security import require
from api.views import moment
from clv.outcomes import event_id
from storage import budget_changes as store
from storage.api_keys import ApiKey

router = APIRouter(prefix="/api/meta-ads", tags=["ads"])
Id = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$", examples=["9f1c0b6de1f24c21a8f0a7b9f3f1d2c4"])]


@router.get("/budget-changes", response_model=BudgetChanges, responses=documented(), dependencies=[require("read")])
def changes(context: Shared) -> BudgetChanges:
    """List proposals that were carried out, and say which could be now."""
    newest = store.find_proposal(context.database)
    return BudgetChanges(
        items=[_view(context, each) for each in store.list_changes(context.database)],
        newest_proposal_id=newest.proposal_id if newest else None,
        refusal=distrust_of(context) or None,
    )


@router.post(
    "/proposals/{proposal_id}/apply",
    response_model=BudgetChange,
    status_code=202,
    responses=documented("not-found", "conflict"),
)
def apply(context: Shared, proposal_id: Id, key: Annotated[ApiKey, require("operate")]) -> BudgetChange:
    """Approve a proposal: the ads role carries it out within seconds, or says in its change why it does not."""
    if store.find_proposal(context.database, proposal_id) is None:
        raise ApiProblem("not-found", "there is no such proposal")
    newest = store.find_proposal(context.database)
    if newest is not None and newest.proposal_id != proposal_id:
        raise ApiProblem("conflict", "there is a newer proposal: this one is out of date")
    if refusal := distrust_of(context):
        raise ApiProblem("conflict", f"nothing is changed: {refusal}")
    change_id = event_id("budget-change", proposal_id)
    known = store.get_change(context.database, change_id)
    if known is not None and known.status not in ("failed", "rolled_back"):
        return _view(context, known)
    platform = context.settings.ads_platform
    wanted = store.BudgetChange(change_id, proposal_id, platform, context.now_ms, key.name, "wanted", {}, {})
    store.save_change(context.database, wanted)
    return _view(context, wanted)


@router.post(
    "/budget-changes/{change_id}/rollback",
    response_model=BudgetChange,
    status_code=202,
    responses=documented("not-found", "conflict"),
)
def rollback(context: Shared, change_id: Id, key: Annotated[ApiKey, require("operate")]) -> BudgetChange:
    """Have the amounts set that were there before a change; the ads role does so within seconds."""
    known = store.get_change(context.database, change_id)
    if known is None:
        raise ApiProblem("not-found", "there is no such change")
    if known.status == "rolling_back":
        return _view(context, known)
    if known.status != "applied":
        raise ApiProblem("conflict", f"the change is {known.status}: there is nothing to set back")
    wanted = known._replace(status="rolling_back", by_name=key.name)
    store.save_change(context.database, wanted)
    return _view(context, wanted)


def _view(context: Context, change: store.BudgetChange) -> BudgetChange:
    major = context.currency.major
    return BudgetChange(
        change_id=change.change_id,
        proposal_id=change.proposal_id,
        platform=change.platform,
        at=moment(change.at_ms),
        by=change.by_name,
        status=change.status,
        amounts_before={name: major(amount) for name, amount in change.amounts_before.items()},
        amounts_after={name: major(amount) for name, amount in change.amounts_after.items()},
        detail=change.detail,
    )
