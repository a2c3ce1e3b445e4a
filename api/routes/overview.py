"""The dashboard's summary, activity by the clock, and health."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse, PlainTextResponse

from api.context import Shared
from api.overview import health_of, summary_of
from api.problems import ApiProblem, documented
from api.schemas.overview import Activity, Health, Summary
from api.security import require
from clv.errors import StoreError
from clv.outcomes import rfc3339
from storage.schema import is_current
from storage.sums import activity_since

router = APIRouter(tags=["overview"])
_READ = [require("read")]


@router.get("/api/dashboard/summary", response_model=Summary, responses=documented(), dependencies=_READ)
def summary(context: Shared) -> Summary:
    """Give the key figures, as of the event time that all partitions have reached."""
    return summary_of(context)


@router.get("/api/dashboard/activity", response_model=list[Activity], responses=documented(), dependencies=_READ)
def activity(context: Shared, minutes: Annotated[int, Query(ge=1, le=2880)] = 30) -> list[Activity]:
    """Give what was stored in each ten seconds of the last minutes, oldest first; empty stretches are left out."""
    found = activity_since(context.database, context.now_ms - minutes * 60_000)
    return [Activity(at=rfc3339(each.at_ms), **{n: getattr(each, n) for n in each._fields[1:]}) for each in found]


@router.get("/api/health", response_model=Health, responses=documented(), dependencies=_READ)
def health(context: Shared) -> Health:
    """Say whether everything runs: each role, how far behind it is, how old the model is, and what is wrong."""
    return health_of(context)


@router.get("/healthz", response_class=PlainTextResponse, summary="Alive", tags=["probes"])
async def alive() -> str:
    """Say that the process lives; looks at nothing, and waits for no thread."""
    return "ok\n"


@router.get("/readyz", tags=["probes"], responses={**documented(), 200: {"description": "Ready"}}, summary="Ready")
def ready(context: Shared) -> JSONResponse:
    """Say whether the API can answer: the database is there, with the tables of this build."""
    try:
        if not is_current(context.database):
            raise ApiProblem("unavailable", "the tables are an earlier build's; the sink brings them up to date")
    except StoreError as problem:
        raise ApiProblem("unavailable", "the database does not answer, or is a newer build's") from problem
    return JSONResponse({"status": "ready"})
