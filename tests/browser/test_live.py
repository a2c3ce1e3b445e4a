"""The running product in a browser, while orders are replayed: figures move, nothing is lost over a break."""

from __future__ import annotations

import os
import re
import signal
import time
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from clv.settings import Settings
from tests.acceptance.processes import running
from tests.acceptance.totals import write_sample
from tests.browser.conftest import until

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Page

    from tests.acceptance.processes import Command

pytestmark = [pytest.mark.browser, pytest.mark.embedded, pytest.mark.slow, pytest.mark.timeout(240)]
_ORDERS = r"Number(document.querySelector('#kpi-customers .note').textContent.replace(/\D/g, ''))"


def _address(up: Command) -> str:
    """Wait for the address that the command prints, and for the API behind it."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = re.search(r"dashboard: (http://\S+)/", up.output)
        try:
            if found and httpx2.get(f"{found[1]}/readyz").status_code == 200:
                return found[1]
        except httpx2.TransportError:
            pass
        time.sleep(0.3)
    raise AssertionError(f"the API did not come up: {up.output[-2000:]}")


def _get(address: str, path: str, **parameters: Any) -> Any:
    return httpx2.get(f"{address}{path}", params=parameters).json()


def test_it_lives_through_a_replay_and_a_restart(tmp_path: Path, browser: Browser) -> None:
    """Figures and feed move with the orders; killed, the API comes back, and every segment change was given once."""
    settings = Settings(data_dir=tmp_path / "data", segment_cutoffs="20,10", api_port=0)
    log = write_sample(tmp_path / "log.csv", ending="3")
    with running(settings, "up", "--csv", str(log)) as up:
        address = _address(up)
        page = browser.new_page()
        faults: list[str] = []
        page.on("pageerror", lambda problem: faults.append(str(problem)))
        page.add_init_script(_RECORD)
        page.goto(f"{address}/")
        until(page, "document.getElementById('connection').textContent === 'Live'")
        until(page, "document.querySelectorAll('#feed li[data-event]').length > 3", seconds=60)
        before = page.evaluate(_ORDERS)
        until(page, f"n => {_ORDERS} > n", before, seconds=60)

        streams = page.evaluate("window.streams")
        os.kill(_process(settings), signal.SIGKILL)
        # The API may be back before anybody has seen that it was gone: a stream that was opened anew tells.
        until(page, "n => window.streams > n", streams, seconds=60)
        until(page, "document.getElementById('connection').textContent === 'Live'", seconds=60)

        deadline = time.monotonic() + 120
        while "caught up" not in up.output and time.monotonic() < deadline:
            page.wait_for_timeout(500)
        expected = _get(address, "/api/dashboard/summary")
        health = _get(address, "/api/health")
        assert (health["status"], health["lag"]["outputs"]) == ("ok", 0), health
        until(page, f"n => {_ORDERS} === n", expected["orders"], seconds=30)
        shown = page.evaluate("window.takenEvents")
        assert len(shown) == len(set(shown))
        _check_feed(page, address, shown)
        assert faults == []
        page.close()


def _check_feed(page: Page, address: str, shown: list[str]) -> None:
    """Every change since the first that the page took is among those taken, in the API's own list of the newest."""
    newest = [each["event_id"] for each in _get(address, "/api/segments/changes", limit=200)["items"]]
    loaded = set(page.evaluate("window.loadedEvents"))
    missing = [event_id for event_id in newest if event_id not in loaded and event_id not in shown]
    assert missing == []


def _process(settings: Settings) -> int:
    """Return the number of the API's process that was started last, from its log."""
    said = (settings.data_dir / "logs" / "api.log").read_text(encoding="utf-8")
    return int(re.findall(r"Started server process \[(\d+)\]", said)[-1])


_RECORD = """
window.takenEvents = [];
window.loadedEvents = [];
window.streams = 0;
const read = window.fetch;
window.fetch = async (...given) => {
  const answer = await read(...given);
  const path = String(given[0]);
  if (path.startsWith('/api/segments/changes')) {
    answer.clone().json().then((found) => window.loadedEvents.push(...found.items.map((each) => each.event_id)));
  }
  if (path.startsWith('/api/stream') && answer.ok) {
    window.streams += 1;
    const [mine, theirs] = answer.body.tee();
    (async () => {
      const reader = mine.pipeThrough(new TextDecoderStream()).getReader();
      let pending = '';
      for (;;) {
        const { value, done } = await reader.read().catch(() => ({ done: true }));
        if (done) return;
        pending += value;
        const blocks = pending.split('\\n\\n');
        pending = blocks.pop();
        for (const block of blocks) {
          const data = block.match(/^event: segment-change\\ndata: (.*)$/m);
          if (data) window.takenEvents.push(JSON.parse(data[1]).event_id);
        }
      }
    })();
    return new Response(theirs, { status: answer.status, headers: answer.headers });
  }
  return answer;
};
"""
