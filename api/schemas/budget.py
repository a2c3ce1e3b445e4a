"""Budget changes: proposals that somebody had carried out."""

from __future__ import annotations

from pydantic import BaseModel, Field

from api.schemas.customers import Moment


class BudgetChange(BaseModel):
    """What became of a proposal; amounts are a day's, in major units, by segment."""

    change_id: str
    proposal_id: str
    platform: str
    at: Moment | None
    by: str
    status: str = Field(description="`wanted`, `applying`, `applied`, `failed`, `rolling_back` or `rolled_back`.")
    amounts_before: dict[str, float]
    amounts_after: dict[str, float]
    detail: str


class BudgetChanges(BaseModel):
    """The last changes, newest first, and the proposal that could be carried out now."""

    items: list[BudgetChange]
    newest_proposal_id: str | None
    refusal: str | None = Field(description="Why no proposal would be carried out now; null where one would.")
