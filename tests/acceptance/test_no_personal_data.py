"""A shop with identities, run from orders to Meta: nobody's address or number is anywhere but in its own file."""

from __future__ import annotations

import asyncio
import csv
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from ads.hashing import META, email_hash
from ads.sandbox.server import Sandbox
from clv.settings import Settings
from clv.topics import TOPICS
from storage.engine import Database
from streams.clients import aiokafka_settings
from tests.acceptance.processes import UNPACED, has_caught_up, run, running, wait_until
from tests.acceptance.totals import write_sample

if TYPE_CHECKING:
    from pathlib import Path

DOMAIN = "nobody-should-see-this.example"
PHONE = "5558675309"


@pytest.mark.embedded
@pytest.mark.slow
@pytest.mark.timeout(240)
def test_no_address_or_number_leaves_the_shops_own_file(tmp_path: Path) -> None:
    """Topics, logs, SQL and every request are searched, as bytes; the audiences hold everybody all the same."""
    log = write_sample(tmp_path / "log.csv", ending="31")
    customers = sorted(set(pd.read_csv(log, dtype=str)["customer_id"]))
    identities = tmp_path / "shop" / "identities.csv"
    identities.parent.mkdir()
    with identities.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["customer_id", "email", "phone", "country"])
        writer.writerows([name, f"{name}@{DOMAIN}", PHONE, "US"] for name in customers)
    with Sandbox(token="t", account_id="42") as sandbox:
        settings = Settings(
            data_dir=tmp_path / "data",
            ads_platform="meta",
            ads_window_ms=1_000,
            ads_most_moved_share=1.0,
            identity_file=str(identities),
            meta_base_url=sandbox.url,
            meta_access_token="t",
            meta_ad_account_id="42",
            segment_cutoffs="100,50",
            log_level="debug",
        )
        with running(settings, "up") as up:
            wait_until(lambda: "logs: " in up.output, seconds=60, what="`clv up` has started its roles")
            run(settings, "replay", str(log), *UNPACED, seconds=90)
            with closing(Database(settings.sql_url)) as database:
                wait_until(lambda: has_caught_up(settings, database), seconds=60, what="all is applied and stored")
            everybody = {email_hash(f"{name}@{DOMAIN}", META) for name in customers}
            name = "CLV existing customers"
            wait_until(lambda: _members(sandbox, name) == everybody, seconds=60, what="the audience is whole")
            records = asyncio.run(_all_records(settings))
            synced = run(settings, "ads", "sync", "--json", seconds=60)
        sent = b"".join(url.encode() + body for _, url, body in sandbox.requests)
    assert len(records) > len(customers)
    files = {path: path.read_bytes() for path in settings.data_dir.rglob("*") if path.is_file()}
    places = {"topics": b"".join(records), "requests": sent, "command": synced.encode()} | {
        str(path): content for path, content in files.items()
    }
    assert [name for name, content in places.items() if DOMAIN.encode() in content or PHONE.encode() in content] == []


def _members(sandbox: Sandbox, name: str) -> set[str]:
    return {row[0] for each in list(sandbox.account.audiences.values()) if each.name == name for row in each.members}


async def _all_records(settings: Settings) -> list[bytes]:
    """Return keys, values and headers of every record of every topic."""
    consumer = AIOKafkaConsumer(**aiokafka_settings(replace(settings)), enable_auto_commit=False)
    await consumer.start()
    try:
        names = [spec.name for spec in TOPICS]
        places = [TopicPartition(name, number) for name in names for number in await _partitions(consumer, name)]
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        found: list[bytes] = []
        quiet = 0
        while quiet < 3:
            fetched = await consumer.getmany(timeout_ms=500)
            quiet = 0 if fetched else quiet + 1
            for records in fetched.values():
                for record in records:
                    headers = b"".join(value for _, value in record.headers)
                    found.append((record.key or b"") + (record.value or b"") + headers)
        return found
    finally:
        await consumer.stop()


async def _partitions(consumer: AIOKafkaConsumer, topic: str) -> list[int]:
    await consumer._client.add_topic(topic)
    return sorted(consumer.partitions_for_topic(topic) or {0})
