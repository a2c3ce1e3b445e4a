"""Take pictures of every view of a running dashboard, at two sizes: ``python -m tests.browser.pictures URL FOLDER``."""

from __future__ import annotations

import json
import shutil
import sys
import urllib.request
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import sync_playwright

SIZES = {"wide": (1440, 900), "phone": (390, 844)}
VIEWS = ("today", "customers", "segments", "campaigns", "models", "operations", "digest")
_SETTLE_MS = 2_500


def take(address: str, folder: Path) -> None:
    """Write a picture of each view and of the most valuable customer's drawer."""
    folder.mkdir(parents=True, exist_ok=True)
    with urllib.request.urlopen(f"{address}/api/customers?limit=1") as answer:
        customer = json.load(answer)["items"][0]["customer_id"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name, (width, height) in SIZES.items():
            page = browser.new_page(viewport={"width": width, "height": height})
            for view in VIEWS:
                page.goto(f"{address}/#/{view}")
                page.wait_for_timeout(_SETTLE_MS)
                page.screenshot(path=folder / f"{view}-{name}.jpg", full_page=True, quality=80, type="jpeg")
            page.goto(f"{address}/#/customers?customer={quote(customer, safe='')}")
            page.wait_for_timeout(_SETTLE_MS)
            page.screenshot(path=folder / f"drawer-{name}.jpg", quality=80, type="jpeg")
            page.close()
        browser.close()


if __name__ == "__main__":
    take(sys.argv[1].rstrip("/"), Path(sys.argv[2]))
