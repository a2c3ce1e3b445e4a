"""Segments and the movement between them, distributions of value, the feed's newest changes."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated

from fastapi import APIRouter, Query

from api.context import Shared
from api.distributions import distributions_of
from api.problems import ApiProblem, documented
from api.schemas.overview import Distributions, Feed, Movement, Segments
from api.security import require
from api.views import change_view, segment_views
from storage.feed import newest_changes
from storage.sums import Move, moves_between, newest_day, totals_by

router = APIRouter(prefix="/api", tags=["segments"], dependencies=[require("read")])


@router.get("/segments", response_model=Segments, responses=documented("invalid-input"))
def segments(
    context: Shared,
    days: Annotated[int, Query(ge=1, le=3650, description="Event-days of movement, up to the newest.")] = 28,
    to: Annotated[
        str | None,
        Query(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", description="Last day, 1997-01-31; the newest if left out."),
    ] = None,
) -> Segments:
    """Give each segment's size and value, and who moved between them in a period of event time."""
    totals = totals_by(context.database, "segment")
    last = _checked_day(to) if to else newest_day(context.database)
    first = _days_before(last, days - 1) if last else ""
    moves = moves_between(context.database, first, last) if last else []
    return Segments(
        currency=context.currency.code,
        horizon_days=context.settings.horizon_days,
        segments=segment_views(context, totals),
        without_segment=sum(total.customers for total in totals if not total.segment),
        movement=_movement(context, moves),
        movement_from=first,
        movement_to=last,
    )


def _checked_day(day: str) -> str:
    try:
        return date.fromisoformat(day).isoformat()
    except ValueError:
        why = "is not a day on the calendar"
        raise ApiProblem("invalid-input", f"to: {why}", [("query.to", why)]) from None


def _days_before(day: str, days: int) -> str:
    try:
        return (date.fromisoformat(day) - timedelta(days)).isoformat()
    except OverflowError:
        raise ApiProblem("invalid-input", "to: is too early", [("query.to", "is too early")]) from None


def _movement(context: Shared, moves: list[Move]) -> list[Movement]:
    found: dict[tuple[str, str], list[Move]] = {}
    for move in moves:
        found.setdefault((move.from_segment, move.to_segment), []).append(move)
    return [
        Movement(
            from_segment=before or None,  # type: ignore[arg-type]  # what the worker wrote
            to_segment=after,  # type: ignore[arg-type]
            changes=sum(move.changes for move in alike),
            reasons={move.reason: move.changes for move in alike},  # type: ignore[misc]
            clv_change=context.currency.major(sum(move.clv_after_minor - move.clv_before_minor for move in alike)),
        )
        for (before, after), alike in found.items()
    ]


@router.get("/segments/changes", response_model=Feed, responses=documented("invalid-input"))
def changes(context: Shared, limit: Annotated[int, Query(ge=1, le=200)] = 30) -> Feed:
    """Give the latest segment changes, newest first; `/api/stream` goes on from the summary's cursor."""
    return Feed(items=[change_view(context, row) for row in newest_changes(context.database, limit=limit)])


@router.get("/distributions", response_model=Distributions, responses=documented())
def distributions(context: Shared) -> Distributions:
    """Give how value is spread: over customers, cohorts, sources and campaigns, and over the days."""
    return distributions_of(context)
