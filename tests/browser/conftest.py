"""Chromium, and an API that serves a filled shop to it.

Playwright's synchronous interface keeps an event loop running in the test's thread: in these modules nothing else may
run one there.
"""

from __future__ import annotations

import shutil
import threading
import time
from typing import TYPE_CHECKING

import pytest
import uvicorn
from playwright.sync_api import sync_playwright

from api.main import create_app
from clv.outcomes import SEGMENTS
from clv.settings import Settings
from storage.campaigns import put_days
from storage.engine import Database
from storage.schema import upgrade
from tests.conftest import do_without
from tests.contract.ads.test_applying import propose
from tests.contract.api.test_spending import days
from tests.contract.api.trading import fill

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

_NAMES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's Chromium, without a window."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        do_without("Chromium is not here: apt-get install chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a shop's dashboard is served."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("shop"))
    upgrade(settings.sql_url)
    database = Database(settings.sql_url)
    fill(database)
    put_days(database, days(), pulled_ms=1)
    propose(database, "a" * 32, dict.fromkeys(SEGMENTS, 1_000), as_of_ms=2**45)
    server = uvicorn.Server(uvicorn.Config(create_app(settings, database), port=0, log_config=None))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(10)


def until(page: Page, expression: str, argument: object = None, *, seconds: float = 15.0) -> None:
    """Wait until an expression of the page holds; Playwright's own waiting needs what the page's policy forbids."""
    deadline = time.monotonic() + seconds
    while not page.evaluate(expression, argument):
        assert time.monotonic() < deadline, f"within {seconds} seconds: {expression} {argument}"
        page.wait_for_timeout(50)


class Watched:
    """A page, and everything that it should not have said or asked for."""

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        self.address = address
        self.faults: list[str] = []
        page.on("console", lambda message: self._note(message.type in ("error", "warning"), message.text))
        page.on("pageerror", lambda problem: self._note(True, str(problem)))
        page.on(
            "request", lambda request: self._note(not request.url.startswith((address, "blob:", "data:")), request.url)
        )

    def _note(self, is_fault: bool, text: str) -> None:  # noqa: FBT001  # called with what was found
        if is_fault:
            self.faults.append(text)

    def open(self, place: str) -> Page:
        """Go to a view and wait until its charts and tables are there."""
        self.page.goto(f"{self.address}/#/{place}")
        until(self.page, "document.getElementById('connection').textContent === 'Live'")
        until(
            self.page,
            "![...document.querySelectorAll('main .state')].some(e => !e.hidden && e.textContent === 'Loading…')",
        )
        return self.page


@pytest.fixture
def watched(browser: Browser, address: str) -> Iterator[Watched]:
    """A page of a laptop's size; the test fails when it said or asked for anything that it should not."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    found = Watched(page, address)
    yield found
    page.close()
    assert found.faults == []
