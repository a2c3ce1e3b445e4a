"""Customers: a page, one, its history, and why its score is what it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import JSONResponse

from api.context import Context, Shared
from api.cursors import decode_cursor, encode_cursor, refused
from api.money import moment_ms
from api.problems import ApiProblem, documented
from api.schemas.customers import (
    Contribution,
    Customer,
    CustomerHistory,
    CustomerPage,
    LedgerLine,
    Why,
)
from api.security import require
from api.views import change_view, customer_view, score_view
from clv.ledger import ORDER, REFUND, effects, unpack
from clv.moments import features_at
from clv.outcomes import rfc3339
from clv.rfm import totals_at
from clv.state import CustomerState, decode_row
from models.explain import explain
from storage.customers import After, CustomerFilter, changes_of, get_customer, list_customers, scores_of
from storage.states import rows_of_key

router = APIRouter(prefix="/api/customers", tags=["customers"], dependencies=[require("read")])
SegmentChoice = Literal["High-CLV", "Growth-Potential", "Low-CLV", "none"]
SortName = Literal["clv", "revenue", "last_order_at", "customer_id"]
Identifier = Annotated[
    str, Path(min_length=1, max_length=256, description="As the order events have it.", examples=["18256"])
]
SAYS = {
    "history": "how often and how regularly they bought",
    "silence": "how long ago they last bought",
    "value": "what a purchase of theirs is worth",
    "refunds": "how much they gave back",
    "email": "which e-mails they opened and clicked",
    "acquisition": "where they came from, and at what cost",
    "category": "what they buy",
}


@dataclass(frozen=True)
class _Filters:
    """Whom to list."""

    segment: Annotated[SegmentChoice | None, Query(description="A segment; `none` for customers without one.")] = None
    search: Annotated[str, Query(max_length=256, description="Beginning of a customer_id.")] = ""
    min_clv: Annotated[float | None, Query(ge=0, lt=10**12, allow_inf_nan=False)] = None
    max_clv: Annotated[float | None, Query(ge=0, lt=10**12, allow_inf_nan=False)] = None
    last_order_from: Annotated[
        str | None, Query(max_length=64, description="RFC 3339 with an offset.", examples=["1998-01-01T00:00:00Z"])
    ] = None
    last_order_to: Annotated[str | None, Query(max_length=64, description="RFC 3339 with an offset.")] = None

    def checked(self, context: Context) -> CustomerFilter:
        """Return them in the store's units."""
        minor = context.currency.minor
        return CustomerFilter(
            segment="" if self.segment == "none" else self.segment,
            prefix=self.search.replace("\x00", "�"),  # an id has none, and PostgreSQL takes none
            min_clv_minor=minor(self.min_clv, "query.min_clv"),
            max_clv_minor=minor(self.max_clv, "query.max_clv"),
            last_order_from_ms=moment_ms(self.last_order_from, "query.last_order_from"),
            last_order_to_ms=moment_ms(self.last_order_to, "query.last_order_to"),
        )


@router.get("", response_model=CustomerPage, responses=documented("invalid-input"))
def customers(  # each is a query parameter
    context: Shared,
    filters: Annotated[_Filters, Depends()],
    *,
    sort: Annotated[SortName, Query(description="What to order by.")] = "clv",
    order: Annotated[Literal["asc", "desc"], Query(description="Ties go by customer_id.")] = "desc",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=1024, description="`next` of the page before.")] = None,
) -> JSONResponse:
    """List customers by page; a late page costs what the first one does."""
    after = _after(cursor, sort, order) if cursor else None
    page = list_customers(
        context.database,
        filters.checked(context),
        sort=sort,
        is_descending=order == "desc",
        limit=limit,
        after=after,
    )
    following = encode_cursor(sort, order, *page.next) if page.next else None
    items = [customer_view(context, row).__dict__ for row in page.rows]
    return JSONResponse({"items": items, "next": following})


def _after(cursor: str, sort: str, order: str) -> After:
    given_sort, given_order, value, customer_id = decode_cursor(cursor, tuple[str, str, int | str, str])
    if isinstance(value, str) != (sort == "customer_id"):
        raise refused("query.cursor")
    if (given_sort, given_order) != (sort, order) or "\x00" in customer_id:
        raise refused("query.cursor")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise refused("query.cursor")
    return After(value, customer_id)


@router.get("/{customer_id:path}/history", response_model=CustomerHistory, responses=documented("not-found"))
def history(
    context: Shared,
    customer_id: Identifier,
    limit: Annotated[int, Query(ge=1, le=1000, description="Of each list, the newest.")] = 200,
) -> CustomerHistory:
    """Give a customer's scores, segment changes with their reasons, orders and refunds."""
    row = _known(context, customer_id)
    state = _state(context, customer_id)
    return CustomerHistory(
        customer_id=customer_id,
        currency=row["currency"],
        scores=[score_view(context, each) for each in scores_of(context.database, customer_id, limit=limit)],
        segment_changes=[change_view(context, each) for each in changes_of(context.database, customer_id, limit=limit)],
        orders=_lines(context, state)[-limit:] if state else [],
    )


@router.get("/{customer_id:path}/why", response_model=Why, responses=documented("not-found", "conflict"))
def why(context: Shared, customer_id: Identifier) -> Why:
    """Take a customer's score apart: what each group of features adds, in money."""
    row = _known(context, customer_id)
    state = _state(context, customer_id)
    if state is None:
        raise ApiProblem("conflict", "the customer's state is not stored yet; try again in a moment")
    version = customer_view(context, row).model_versions.get("scorer", "")
    loaded = context.published.at(version) if version else context.published.newest()
    as_of_ms = row["as_of_ms"]
    features = np.array(features_at(state, as_of_ms, totals_at(state, as_of_ms)), dtype=np.float64)
    found = explain(loaded.scorer, features, as_of_ms)
    parts, major = found.in_whole_minor(), context.currency.major
    ranked = sorted(parts.items(), key=lambda part: -abs(part[1]))
    score_minor = round(found.score_minor)
    return Why(
        customer_id=customer_id,
        as_of=rfc3339(as_of_ms),
        currency=row["currency"],
        base=major(score_minor - sum(parts.values())),
        clv=major(score_minor),
        contributions=[Contribution(group=name, amount=major(amount), says=SAYS[name]) for name, amount in ranked],
        scorer_version=found.versions.scorer,
        is_current=found.versions.scorer == version and score_minor == row["clv_minor"],
    )


@router.get("/{customer_id:path}", response_model=Customer, responses=documented("not-found"))
def customer(context: Shared, customer_id: Identifier) -> JSONResponse:
    """Give one customer: score, interval, segment, churn probability, expected next order."""
    return JSONResponse(customer_view(context, _known(context, customer_id)).__dict__)


def _known(context: Context, customer_id: str) -> dict[str, Any]:
    row = None if "\x00" in customer_id else get_customer(context.database, customer_id)
    if row is None:
        raise ApiProblem("not-found", "there is no customer of this id")
    return row


def _state(context: Context, customer_id: str) -> CustomerState | None:
    """Return what the worker held of a customer when it last changed; None where that is not stored yet."""
    rows = rows_of_key(context.database, customer_id.encode("utf-8", "surrogatepass"))
    return decode_row(next(iter(rows.values())), 0).state if rows else None


def _lines(context: Context, state: CustomerState) -> list[LedgerLine]:
    entries = unpack(state.ledger)
    lines = []
    for entry, effect in zip(entries, effects(entries), strict=True):
        if entry.kind in (ORDER, REFUND):
            amount = entry.amount_minor if entry.kind == ORDER else effect.refunded_minor
            kind: Literal["order", "refund"] = "order" if entry.kind == ORDER else "refund"
            lines.append(LedgerLine(at=rfc3339(entry.at_ms), kind=kind, amount=context.currency.major(amount)))
    return lines
