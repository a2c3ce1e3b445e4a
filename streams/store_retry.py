"""Waiting for a database that is locked, slow, full, read-only or absent."""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_when_event_set, wait_exponential

from clv.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

log = structlog.get_logger(__name__)

_FIRST_WAIT_SECONDS = 0.2
_LONGEST_WAIT_SECONDS = 10.0

P = ParamSpec("P")
T = TypeVar("T")


async def retry_store(stop: asyncio.Event, action: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a blocking action of the store in a thread until the store is available.

    Each failure is one line in the log; the waits between attempts double from 0.2 s up to 10 s.

    Parameters
    ----------
    stop
        Ends the waiting at once when it is set.
    action
        Must be safe to repeat after ``StoreUnavailable``.

    Raises
    ------
    StoreUnavailable
        Only when ``stop`` is set meanwhile.
    StoreError
        Whatever else the action raises, at once.
    """
    attempts = AsyncRetrying(
        retry=retry_if_exception_type(StoreUnavailable),
        wait=wait_exponential(multiplier=_FIRST_WAIT_SECONDS, max=_LONGEST_WAIT_SECONDS),
        stop=stop_when_event_set(stop),  # type: ignore[arg-type]  # only is_set() is used, which both events have
        sleep=partial(_pause, stop),
        before_sleep=_warn,
        reraise=True,
    )

    result: T = await attempts(partial(asyncio.to_thread, action, *args, **kwargs))
    if attempts.statistics.get("attempt_number", 1) > 1:
        log.info("database available again")
    return result


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)


def _warn(state: RetryCallState) -> None:
    problem = state.outcome.exception() if state.outcome else None
    wait = round(state.next_action.sleep, 1) if state.next_action else 0.0
    log.warning(
        "database unavailable, waiting", problem=str(problem), attempt=state.attempt_number, next_try_in_seconds=wait
    )
