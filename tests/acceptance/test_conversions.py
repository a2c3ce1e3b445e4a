"""From an order to what the platform is told of it: a first purchase of this week, once, with its predicted value."""

from __future__ import annotations

import csv
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from ads.hashing import META, email_hash
from ads.sandbox.server import Sandbox
from clv.settings import Settings
from storage.engine import Database
from tests.acceptance.processes import UNPACED, has_caught_up, run, running, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NEW = [f"new-{number}" for number in range(8)]
OLD = [f"old-{number}" for number in range(8)]


@pytest.mark.embedded
@pytest.mark.slow
@pytest.mark.timeout(180)
def test_first_purchases_of_this_week_are_told_once(tmp_path: Path) -> None:
    """Older first purchases and second ones are not told; a role that is started again tells nothing twice."""
    now = datetime.now(UTC)
    orders = [(name, now - timedelta(days=40), 30) for name in OLD]
    orders += [(name, now - timedelta(days=2, minutes=number), 20) for number, name in enumerate(NEW)]
    orders += [(OLD[0], now - timedelta(days=1), 50), (NEW[0], now - timedelta(hours=20), 70)]
    log, identities = tmp_path / "log.csv", tmp_path / "identities.csv"
    _write(log, ["customer_id", "date", "amount"], [[name, f"{at:%Y-%m-%dT%H:%M:%SZ}", x] for name, at, x in orders])
    _write(identities, ["customer_id", "email"], [[name, f"{name}@shop.example"] for name in (*OLD, *NEW[:-1])])
    with Sandbox(token="t", account_id="42") as sandbox:
        settings = Settings(
            data_dir=tmp_path / "data",
            ads_platform="meta",
            ads_window_ms=500,
            identity_file=str(identities),
            meta_base_url=sandbox.url,
            meta_access_token="t",
            meta_ad_account_id="42",
            meta_pixel_id="77",
        )
        with _running(settings):
            run(settings, "replay", str(log), *UNPACED, seconds=60)
            with closing(Database(settings.sql_url)) as database:
                wait_until(lambda: has_caught_up(settings, database), seconds=60, what="all is stored")
            wait_until(lambda: len(sandbox.account.events) == len(NEW) - 1, seconds=30, what="all are told")
        calls, posts = len(sandbox.requests), _posts(sandbox)
        with _running(settings):
            wait_until(lambda: len(sandbox.requests) > calls + 5, seconds=60, what="the role is there again")
        assert 0 < _posts(sandbox) == posts
    told = list(sandbox.account.events.values())
    wanted = {email_hash(f"{name}@shop.example", META) for name in NEW[:-1]}
    assert sorted(each["user_data"]["em"][0] for each in told) == sorted(wanted)
    assert {each["custom_data"]["value"] for each in told} == {20.0}
    assert all(each["custom_data"]["predicted_ltv"] > 0 for each in told)


@contextmanager
def _running(settings: Settings) -> Iterator[None]:
    with running(settings, "up") as up:
        wait_until(lambda: "logs: " in up.output, seconds=60, what="`clv up` has started its roles")
        yield


def _posts(sandbox: Sandbox) -> int:
    return sum(method == "POST" and "/events" in path for method, path, _ in sandbox.requests)


def _write(path: Path, header: list[str], rows: list[list[object]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
