"""The composition root of the API: one app over one database, and the server that runs it."""

from __future__ import annotations

import socket
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio.to_thread
import structlog
import uvicorn
from fastapi import FastAPI
from starlette.middleware.gzip import GZipMiddleware

from api.connections import BoundedProtocol
from api.context import make_context
from api.edge import Edge, ETags
from api.problems import Problem, documented, handle_problems
from api.quality import Quality
from api.routes import (
    ads,
    budget,
    customers,
    letters,
    models,
    overview,
    page,
    predictions,
    prometheus,
    segments,
    stream,
)
from api.security import KeyRing, check_listening
from clv.errors import ConfigError
from storage.api_keys import has_keys
from storage.engine import Database
from storage.schema import upgrade

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from clv.settings import Settings

log = structlog.get_logger(__name__)
VERSION = "1"
THREADS = 10
"""Requests that are answered at the same time: the store keeps up to 15 connections, and Python has one lock."""
_DESCRIPTION = """Customer lifetime value as it is known now, from SQL. Money is in major units of the reporting
currency, moments are RFC 3339 in UTC. Errors are `application/problem+json` with a stable `type`. Lists are read page
by page with the cursor `next`. Once an API key was made, every path but the probes needs one."""


def create_app(
    settings: Settings, database: Database | None = None, *, clock: Callable[[], float] = time.time
) -> FastAPI:
    """Return the API of a deployment; it opens connections when they are first needed.

    Parameters
    ----------
    database
        Where to read; by default the settings'. It is closed when the app ends.
    clock
        The time, epoch seconds.
    """
    opened = database or Database(settings.sql_url)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        """Bound the threads that ask the database, so that each finds a connection; close it at the end."""
        anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS
        yield
        opened.close()

    app = FastAPI(
        title="Customer lifetime value",
        version=VERSION,
        description=_DESCRIPTION,
        lifespan=lifespan,
        openapi_url="/api/openapi.json",
        docs_url=None,  # their pages load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
    )
    context = make_context(settings, opened, clock)
    app.state.context = context
    app.state.keys = KeyRing(opened)
    app.state.quality = Quality()
    app.state.readers = stream.Readers()
    app.state.figures = prometheus.Figures(context)
    handle_problems(app)
    for module in (overview, customers, predictions, segments, models, ads, budget, letters, stream, prometheus, page):
        app.include_router(module.router)
    page.serve_files(app)
    # The last one added sees a request first.
    app.add_middleware(ETags)
    app.add_middleware(GZipMiddleware, minimum_size=1_000, compresslevel=5)
    app.add_middleware(Edge, keys=app.state.keys, rate_per_second=settings.api_rate_per_second)
    app.add_middleware(prometheus.Counting, figures=app.state.figures)
    _document_problems(app)
    return app


def _document_problems(app: FastAPI) -> None:
    """Put the problem's schema into the OpenAPI document, in place of FastAPI's own error."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        """Make the document once."""
        if not app.openapi_schema:
            document = plain()
            schemas = document["components"]["schemas"]
            schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas |= schema.pop("$defs", {})
            schemas["Problem"] = schema
            for path in document["paths"].values():
                for operation in path.values():
                    answers = operation["responses"]
                    if "HTTPValidationError" in str(answers.get("422", "")):
                        answers["422"] = documented("invalid-input")[422]
            for name in ("HTTPValidationError", "ValidationError"):
                schemas.pop(name, None)
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI's documentation has it


def serve(settings: Settings) -> None:
    """Serve the API until SIGTERM or Ctrl-C.

    Raises
    ------
    ConfigError
        When the port is taken, or the address is open to others and there is no key.
    StoreUnavailable
        When the database cannot be reached.
    """
    upgrade(settings.sql_url)
    database = Database(settings.sql_url)
    check_listening(settings.api_host, has_any_key=has_keys(database))
    listening = _listen(settings.api_host, settings.api_port)
    host, port = listening.getsockname()[:2]
    log.info("api listens", url=f"http://{f'[{host}]' if ':' in host else host}:{port}/")
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(settings, database),
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=3,
            limit_concurrency=500,
            http=BoundedProtocol,
            lifespan="on",
        )
    )
    server.run(sockets=[listening])


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=512, reuse_port=False
        )
    except OSError as problem:
        raise ConfigError(
            f"the API cannot listen on {host}:{port}: {problem.strerror or problem}",
            "set CLV_API_PORT to another port, or stop what uses this one",
        ) from problem
