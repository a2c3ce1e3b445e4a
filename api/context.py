"""What routes work with: database, currency, settings, published models; one value a process, made at the start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, NamedTuple

from fastapi import Depends, Request

from api.money import Currency
from api.published import Published
from clv.money import minor_digits
from clv.settings import Settings
from storage.engine import Database

if TYPE_CHECKING:
    from collections.abc import Callable


class Context(NamedTuple):
    """What the routes share; safe to use from several threads."""

    settings: Settings
    database: Database
    currency: Currency
    published: Published
    clock: Callable[[], float]

    @property
    def now_ms(self) -> int:
        """The clock, epoch milliseconds."""
        return round(self.clock() * 1000)


def make_context(settings: Settings, database: Database, clock: Callable[[], float]) -> Context:
    """Return the context of a deployment."""
    currency = Currency(settings.currency, minor_digits(settings.currency))
    return Context(settings, database, currency, Published(settings, database), clock)


async def _context(request: Request) -> Context:  # not awaiting anything: a plain function would cost a thread's turn
    found: Context = request.app.state.context
    return found


Shared = Annotated[Context, Depends(_context)]
"""The parameter of a route that needs the context."""
