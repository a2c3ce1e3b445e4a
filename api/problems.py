"""Errors as RFC 9457 asks: ``application/problem+json`` with a stable type, and each offending field.

Types are URNs (``urn:clv:problem:…``): they name a kind of problem and promise no page.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import structlog
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from clv.errors import ModelError, ScorerError, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fastapi import FastAPI, Request
    from fastapi.responses import Response

log = structlog.get_logger(__name__)
MEDIA_TYPE = "application/problem+json"
_URN = "urn:clv:problem:"


class FieldProblem(BaseModel):
    """One field that cannot be used."""

    field: str = Field(description="Where it stands: `total_orders`, or `query.limit`.")
    detail: str = Field(description="What is wrong with it.")


class Problem(BaseModel):
    """What went wrong, as RFC 9457 has it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:clv:problem:invalid-input",
                    "title": "Input cannot be used",
                    "status": 422,
                    "detail": "last_order_from: is not a moment, for example 2024-05-01T00:00:00Z",
                    "errors": [{"field": "query.last_order_from", "detail": "is not a moment"}],
                }
            ]
        }
    )
    type: str = Field(description="A stable URN of the kind of problem.")
    title: str = Field(description="The kind of problem in words, always the same for a type.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What happened this time.")
    errors: list[FieldProblem] = Field(default=[], description="Each offending field.")


class ApiProblem(Exception):
    """A problem to be answered; ``kind`` is one of ``KINDS``.

    Parameters
    ----------
    errors
        Offending fields, each with what is wrong.
    """

    def __init__(self, kind: str, detail: str, errors: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.errors = tuple(errors)


KINDS: dict[str, tuple[int, str]] = {
    "invalid-input": (422, "Input cannot be used"),
    "not-found": (404, "There is no such thing"),
    "unauthorised": (401, "A valid API key is needed"),
    "forbidden": (403, "The key does not allow this"),
    "wrong-host": (421, "This host name is not served"),
    "too-large": (413, "The request is too large"),
    "too-slow": (408, "The request came too slowly"),
    "too-many-requests": (429, "Too many requests"),
    "conflict": (409, "It cannot be done now"),
    "unavailable": (503, "Not available for now"),
    "no-model": (503, "No model can answer"),
    "internal": (500, "Something went wrong inside"),
}


def respond(
    kind: str, detail: str, errors: Sequence[tuple[str, str]] = (), *, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """Return the response of a problem."""
    status, title = KINDS[kind]
    return _response(f"{_URN}{kind}", title, status, detail, errors, headers)


def handle_problems(app: FastAPI) -> None:
    """Let every error leave as problem+json."""
    app.add_exception_handler(ApiProblem, _on_problem)
    app.add_exception_handler(RequestValidationError, _on_validation)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(ScorerError, _on_ours)
    app.add_exception_handler(Exception, _on_anything)


def documented(*kinds: str) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI responses of kinds of problems, beside those that any path may answer."""
    wanted = {KINDS[kind][0]: KINDS[kind][1] for kind in (*kinds, *_ANYWHERE)}
    schema = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return {status: {"description": title, "content": {MEDIA_TYPE: schema}} for status, title in sorted(wanted.items())}


_ANYWHERE = (*("unauthorised", "forbidden", "wrong-host", "too-large", "too-slow", "too-many-requests", "unavailable"),)


def _response(
    urn: str,
    title: str,
    status: int,
    detail: str,
    errors: Sequence[tuple[str, str]] = (),
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    content: dict[str, Any] = {"type": urn, "title": title, "status": status, "detail": detail}
    if errors:
        content["errors"] = [{"field": field, "detail": why} for field, why in errors]
    return JSONResponse(content, status, dict(headers or {}), media_type=MEDIA_TYPE)


async def _on_problem(_request: Request, problem: Exception) -> Response:
    assert isinstance(problem, ApiProblem)
    headers = {"WWW-Authenticate": "Bearer"} if problem.kind == "unauthorised" else None
    return respond(problem.kind, problem.detail, problem.errors, headers=headers)


async def _on_validation(_request: Request, problem: Exception) -> Response:
    assert isinstance(problem, RequestValidationError)
    errors = [(_place(each["loc"]), _lower(str(each["msg"]))) for each in problem.errors()]
    detail = "; ".join(f"{field}: {why}" for field, why in errors)[:500]
    return respond("invalid-input", detail, errors)


async def _on_http(_request: Request, problem: Exception) -> Response:
    assert isinstance(problem, HTTPException)
    if problem.status_code == HTTPStatus.NOT_FOUND:
        return respond("not-found", "there is nothing at this path")
    if problem.status_code == HTTPStatus.BAD_REQUEST:
        # FastAPI's word for bytes that no JSON parser takes; broken JSON it calls a 422 already.
        return respond("invalid-input", "the body is not JSON in UTF-8", [("body", "is not JSON in UTF-8")])
    title = HTTPStatus(problem.status_code).phrase
    kind = title.lower().replace(" ", "-")
    headers = dict(problem.headers or {})
    return _response(f"{_URN}{kind}", title, problem.status_code, str(problem.detail), headers=headers)


async def _on_ours(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, ScorerError)
    if isinstance(problem, StoreUnavailable):
        # The message names the database's address, which is nobody's business outside.
        log.warning("database unavailable", route=_route(request), problem=str(problem))
        return respond("unavailable", "the database does not answer; try again", headers={"Retry-After": "2"})
    if isinstance(problem, ModelError):
        log.error("model cannot answer", route=_route(request), problem=str(problem))
        return respond("no-model", "the published model cannot be used; the log says why")
    return await _on_anything(request, problem)


async def _on_anything(request: Request, problem: Exception) -> Response:
    log.error("request failed", route=_route(request), exc_info=problem)
    return respond("internal", "the log has the details")


def _route(request: Request) -> str:
    """Return the route's template: the path itself may name a customer."""
    return str(getattr(request.scope.get("route"), "path", "none"))


def _place(location: Sequence[str | int]) -> str:
    parts = [str(part) for part in location]
    if parts[:1] == ["body"]:
        parts = parts[1:] or ["body"]
    return ".".join(parts)


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
