"""Waiting for a database ends with its answer, with the stop, or with an error that waiting cannot mend."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from clv.errors import StoreConflict, StoreUnavailable
from streams.store_retry import retry_store


class _Store:
    """Answers with the given results one after the other."""

    def __init__(self, *results: int | Exception, stop: asyncio.Event | None = None) -> None:
        self._results = list(results)
        self._stop = stop

    def ask(self) -> int:
        """Give the next result; set ``stop`` with the last one."""
        result = self._results.pop(0)
        if self._stop and not self._results:
            self._stop.set()
        if isinstance(result, Exception):
            raise result
        return result


def test_it_waits_until_the_store_answers() -> None:
    """Each failed attempt is one warning; the answer comes through."""
    with capture_logs() as logs:
        found = asyncio.run(retry_store(asyncio.Event(), _Store(StoreUnavailable("locked"), 7).ask))
    assert found == 7
    lines = [(line["log_level"], line["event"]) for line in logs]
    assert lines == [("warning", "database unavailable, waiting"), ("info", "database available again")]


def test_stopping_ends_the_wait() -> None:
    """A process that shall end does not wait for its database."""
    stop = asyncio.Event()
    with pytest.raises(StoreUnavailable, match="gone"):
        asyncio.run(retry_store(stop, _Store(StoreUnavailable("locked"), StoreUnavailable("gone"), stop=stop).ask))


def test_other_errors_come_at_once() -> None:
    """A conflict is not waited out."""
    with pytest.raises(StoreConflict):
        asyncio.run(retry_store(asyncio.Event(), _Store(StoreConflict("moved"), 7).ask))
