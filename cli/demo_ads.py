"""What the demo needs to show audiences without an ad account: a Meta of its own on loopback, and made-up addresses."""

from __future__ import annotations

import contextlib
import csv
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clv.settings import Settings
    from producers.orderlog import OrderLog

ACCOUNT_ID = "1"
WINDOW_MS = 60_000
"""How long the demo lets changes gather: an hour would show nothing."""


@contextlib.contextmanager
def with_sandbox(settings: Settings, log: OrderLog) -> Iterator[Settings]:
    """Give settings whose ads go to a Meta on loopback, which is there while the block is open.

    Where a platform is set, the settings are given as they are. Everybody in the log gets an address at example.com,
    which nobody has.
    """
    if settings.ads_platform != "file":
        yield settings
        return
    from ads.sandbox.server import Sandbox

    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = settings.data_dir / "identities.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["customer_id", "email"])
        writer.writerows([name, f"customer-{name}@example.com"] for name in sorted({e.customer_id for e in log}))
    token = secrets.token_hex(16)
    with Sandbox(token=token, account_id=ACCOUNT_ID) as sandbox:
        yield replace(
            settings,
            ads_platform="meta",
            ads_window_ms=WINDOW_MS,
            ads_most_moved_share=1.0,
            identity_file=str(path.absolute()),
            meta_base_url=sandbox.url,
            meta_access_token=token,
            meta_ad_account_id=ACCOUNT_ID,
        )
