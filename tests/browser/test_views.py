"""Every view over a shop at rest: readable by everybody, at every width, without a fault or a foreign request."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx2
import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.browser.conftest import until
from tests.contract.api.trading import ODD_CUSTOMER

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.browser.conftest import Watched

VIEWS = ("today", "customers", "segments", "campaigns", "models", "operations", "digest")
WIDTHS = (360, 768, 1440)
FOLDER = Path(__file__).parents[2] / "api" / "dashboard"
pytestmark = pytest.mark.browser
_AMOUNTS = "JSON.stringify([...document.querySelectorAll('#budget-body tbody tr')].map(r => r.cells[1].textContent))"


def _get(watched: Watched, path: str, **parameters: Any) -> Any:
    return httpx2.get(f"{watched.address}{path}", params=parameters).json()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("view", VIEWS)
def test_a_view_is_accessible_and_fits(watched: Watched, view: str, width: int) -> None:
    """Axe finds nothing, nothing is wider than the screen, and every chart has a name and its data as a table."""
    watched.page.set_viewport_size({"width": width, "height": 800})
    page = watched.open(view)
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert not set(page.locator("main").inner_text().splitlines()) & {"null", "undefined", "NaN"}
    for chart in page.locator("canvas:visible").all():
        assert len(chart.get_attribute("aria-label") or "") > 20
    for figure in page.locator("figure:has(canvas:visible)").all():
        figure.locator("summary").click()
        assert figure.locator("details table tbody tr").count() > 0


def test_campaigns_show_what_the_api_says(watched: Watched) -> None:
    """Audiences, the segments' ROAS, every campaign; a proposal that would be refused cannot be approved."""
    page = watched.open("campaigns")
    found = _get(watched, "/api/meta-ads/campaigns")
    assert page.locator("#campaigns tbody tr").count() == len(found["campaigns"]) == 3
    assert page.locator("#audiences tbody tr").count() == 6
    best = max(found["segments"], key=lambda each: each["roas"])
    assert page.locator("#chart-roas h2").inner_text().startswith(f"{best['segment']} brings most for its money")
    assert "no model has been published yet" in page.locator("#budget-changes").inner_text()
    assert page.get_by_role("button", name="Approve it").count() == 0


def test_the_drawer_tells_one_customer(watched: Watched) -> None:
    """A click opens the customer with value, why, segments and orders; it is accessible, and Escape closes it."""
    page = watched.open("customers")
    row = page.locator("#customers tbody tr").first
    name = row.locator("th").inner_text()
    row.click()
    dialog = page.locator("#drawer")
    dialog.locator(".bars li").first.wait_for()
    assert dialog.locator("h2").inner_text() == f"Customer {name}"
    customer = _get(watched, f"/api/customers/{quote(name, safe='')}")
    assert f"${customer['clv']:,.2f}" in dialog.inner_text()
    assert dialog.locator("table").count() >= 3
    until(page, "place => location.hash.includes(place)", f"customer={quote(name)}")
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    page.keyboard.press("Escape")
    dialog.wait_for(state="hidden")
    until(page, "place => !location.hash.includes(place)", "customer=")


def test_an_odd_id_stays_text(watched: Watched) -> None:
    """An id with markup in it is shown as it is, by its permalink too, and runs nothing."""
    page = watched.open(f"customers?customer={quote(ODD_CUSTOMER, safe='')}")
    page.locator("#drawer .bars").wait_for()
    assert page.locator("#drawer h2").inner_text() == f"Customer {ODD_CUSTOMER}"
    assert page.locator("#drawer script").count() == 0


def test_filters_ask_the_api(watched: Watched) -> None:
    """Segment, search and order narrow the table to what the API says, and the address shows the same again."""
    page = watched.open("customers")
    page.select_option("#filter-segment", "High-CLV")
    page.fill("#filter-search", "c0")
    page.select_option("#filter-sort", "revenue")
    expected = [
        each["customer_id"]
        for each in _get(watched, "/api/customers", segment="High-CLV", search="c0", sort="revenue")["items"]
    ]
    rows = page.locator("#customers tbody th")
    until(page, "n => document.querySelectorAll('#customers tbody tr').length === n", len(expected))
    assert rows.all_inner_texts() == expected
    again = page.evaluate("location.href")
    page.goto("about:blank")
    watched.faults.clear()
    page.goto(again)
    until(page, "n => document.querySelectorAll('#customers tbody tr').length === n", len(expected))
    assert rows.all_inner_texts() == expected
    page.fill("#filter-search", "nobody like that")
    page.get_by_text("No customer is like this").wait_for()


def test_pages_go_on_and_back(watched: Watched) -> None:
    """The second page is the API's, and the first one comes back."""
    page = watched.open("customers")
    first = page.locator("#customers tbody th").all_inner_texts()
    page.get_by_role("button", name="Next").click()
    page.get_by_text("Page 2", exact=True).wait_for()
    second = page.locator("#customers tbody th").all_inner_texts()
    assert set(first).isdisjoint(second)
    page.get_by_role("button", name="Previous").click()
    page.get_by_text("Page 1", exact=True).wait_for()
    assert page.locator("#customers tbody th").all_inner_texts() == first


@pytest.mark.parametrize("total", ["0", "0.01", "12345.67", "99999.99"])
def test_the_budget_is_the_api_s_to_the_cent(watched: Watched, total: str) -> None:
    """Whatever is set, the amounts shown are the API's."""
    page = watched.open("today")
    page.fill("#budget-number", total)
    found = _get(watched, "/api/meta-ads/budget-allocation", total_budget=total)
    expected = [f"${each['amount']:,.2f}" for each in found["allocations"]]
    until(page, f"wanted => {_AMOUNTS} === JSON.stringify(wanted)", expected)


def test_the_slider_moves_the_budget(watched: Watched) -> None:
    """The slider by keyboard changes total and amounts together."""
    page = watched.open("today")
    page.focus("#budget-slider")
    page.keyboard.press("End")
    found = _get(watched, "/api/meta-ads/budget-allocation", total_budget="100000")
    expected = [f"${each['amount']:,.2f}" for each in found["allocations"]]
    until(page, f"wanted => {_AMOUNTS} === JSON.stringify(wanted)", expected)
    assert page.input_value("#budget-number") == "100000"


def test_a_table_leaves_as_csv(watched: Watched) -> None:
    """The file holds everybody whom the filters leave, and no cell that a spreadsheet would run."""
    page = watched.open("customers")
    with page.expect_download() as download:
        page.locator("#customers button", has_text="CSV").click()
    rows = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text(encoding="utf-8"))))
    everybody = [each["customer_id"] for each in _get(watched, "/api/customers", limit=200)["items"]]
    assert [row["Customer"] for row in rows] == everybody
    cells = page.evaluate(
        """async () => (await import('/static/js/tables.js'))
            .csv([{name: 'a', value: (row) => row}], ['=1+1', '@x', '-2', -2, 'b"c'])"""
    )
    assert cells.split("\r\n") == ["a", "'=1+1", "'@x", "'-2", "-2", '"b""c"', ""]


def test_a_chart_leaves_as_png(watched: Watched) -> None:
    """The picture is one."""
    page = watched.open("segments")
    with page.expect_download() as download:
        page.locator("#chart-value-concentration button", has_text="PNG").click()
    assert Path(download.value.path()).read_bytes().startswith(b"\x89PNG")


def test_it_is_used_by_keyboard_alone(watched: Watched) -> None:
    """Digits change the view, a slash finds the search, Enter opens a customer, and focus stays in the drawer."""
    page = watched.open("today")
    page.keyboard.press("3")
    page.locator("#chart-segment-sizes").wait_for()
    page.keyboard.press("/")
    page.locator("#filter-search:focus").wait_for()
    page.keyboard.type("c00")
    until(page, "[...document.querySelectorAll('#customers tbody th')].every(e => e.textContent.startsWith('c00'))")
    page.locator("#customers tbody button").first.focus()
    page.keyboard.press("Enter")
    page.locator("#drawer[open]").wait_for()
    for _ in range(12):
        page.keyboard.press("Tab")
    assert page.evaluate(
        "document.activeElement === document.body || document.activeElement.closest('#drawer') !== null"
    )


def test_motion_can_be_stopped(browser: Browser, address: str) -> None:
    """Who asks for less motion gets none, and Pause holds the live figures."""
    page = browser.new_page(reduced_motion="reduce")
    page.goto(f"{address}/")
    until(page, "document.getElementById('connection').textContent === 'Live'")
    page.evaluate("document.querySelector('#kpi-customers .value').classList.add('moved')")
    assert page.evaluate("getComputedStyle(document.querySelector('#kpi-customers .value')).animationName") == "none"
    button = page.get_by_role("button", name="Pause")
    button.click()
    assert page.locator("#pause").get_attribute("aria-pressed") == "true"
    page.close()


def test_it_stays_when_the_network_goes(watched: Watched) -> None:
    """Without a network the page says so and keeps its figures; every view still opens; with it, it goes on."""
    page = watched.open("today")
    before = page.inner_text("#kpi-revenue .value")
    page.context.set_offline(True)
    page.evaluate("location.hash = '#/segments'")
    page.locator("#chart-segment-sizes .state").filter(has_text="does not answer").wait_for()
    page.context.set_offline(False)
    page.evaluate("location.hash = '#/today'")
    until(page, "wanted => document.querySelector('#kpi-revenue .value').textContent === wanted", before)
    watched.faults.clear()  # the browser itself reports what failed while there was no network


def test_a_key_is_asked_for_and_used(browser: Browser, address: str) -> None:
    """Where a key is needed the page asks for it, says when it is refused, and works with it."""
    page = browser.new_page()
    page.route(
        "**/api/**",
        lambda route: (
            route.continue_()
            if route.request.headers.get("authorization") == "Bearer right"
            else route.fulfill(status=401, json={"title": "A valid API key is needed", "detail": "send a key"})
        ),
    )
    page.goto(f"{address}/")
    page.locator("#login[open]").wait_for()
    page.fill("#key", "wrong")
    page.get_by_role("button", name="Go on").click()
    page.get_by_text("That key was refused.").wait_for()
    page.fill("#key", "right")
    page.get_by_role("button", name="Go on").click()
    until(page, "document.querySelector('#kpi-customers .value').textContent === '60'")
    page.close()


def test_the_light_print_is_readable(watched: Watched) -> None:
    """On paper the digest is dark on light, without buttons."""
    page = watched.open("digest")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("getComputedStyle(document.querySelector('.digest h2')).color") == "rgb(20, 23, 31)"
    assert page.locator(".top").is_hidden()


def test_the_page_is_light() -> None:
    """All scripts together have at most 125 KB, and the whole page 300 KB, as they are sent (gzip)."""
    sizes = {
        path: len(gzip.compress(path.read_bytes(), 5))
        for path in FOLDER.rglob("*")
        if path.suffix in (".js", ".css", ".html", ".svg")
    }
    assert sum(size for path, size in sizes.items() if path.suffix == ".js") <= 125_000
    assert sum(sizes.values()) <= 300_000


def test_chart_js_is_the_published_file() -> None:
    """The vendored script is the one whose checksum stands beside it, with its licence."""
    import hashlib

    vendor = FOLDER / "vendor"
    for line in (vendor / "SHA256SUMS").read_text(encoding="utf-8").splitlines():
        digest, name = line.split()
        assert hashlib.sha256((vendor / name).read_bytes()).hexdigest() == digest
    assert "MIT" in (vendor / "chart.LICENSE.md").read_text(encoding="utf-8")
