"""Writes the sample of the present version: ``python -m tests.frozen.make`` (needs Kafka's jars, takes a minute).

Run it once for each release, commit the folder, and never write it again: what it proves is that older bytes are read.
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from cli.topology import Topology
from streams.kafka_server import KafkaServer
from streams.topics import partition_count, specs
from tests.acceptance.going_on import is_stored
from tests.acceptance.outputs import read_topic
from tests.acceptance.processes import is_caught_up, run, wait_until, worker_lag
from tests.acceptance.sending import Sent, send, ticks
from tests.frozen.records import BACKUP, FOLDER, RECORDS, FrozenRecord, settings_of, write_records

if TYPE_CHECKING:
    from clv.settings import Settings

SHOP = (
    *("--count", "90", "--days", "200", "--seed", "3", "--refund-rate", "0.1"),
    *("--late-rate", "0.02", "--out-of-order-rate", "0.05", "--duplicate-rate", "0.03"),
)


def main() -> None:
    """Run a small deployment to its end and keep what it wrote."""
    target = FOLDER / f"v{importlib.metadata.version('clv-scorer')}"
    if target.exists():
        sys.exit(f"{target} is there already; a sample is never written twice")
    target.mkdir()
    libs = Path(__file__).parents[2] / ".kafka" / "libs"
    with tempfile.TemporaryDirectory() as folder, KafkaServer(Path(folder) / "kafka", libs) as server:
        settings = settings_of(Path(folder) / "data", broker=server.bootstrap)
        with Topology(settings) as topology:
            run(settings, "generate", *SHOP, seconds=120)
            wait_until(lambda: is_caught_up(topology), seconds=120, what="the shop is applied")
            run(settings, "train", seconds=60)
            erased: dict[str, object] = {"type": "CustomerErased", "event_id": "erased", "customer_id": "c0000004"}
            erased |= {"occurred_at": "2024-05-01T00:00:00Z", "schema_version": 1}
            far: dict[str, object] = {
                "type": "OrderPlaced",
                "event_id": "far",
                "customer_id": "c0000001",
                "order_id": "far",
            }
            far |= {"occurred_at": "2025-07-01T00:00:00Z", "schema_version": 1, "total": "1.00", "currency": "USD"}
            ahead = [Sent(b"c0000001", json.dumps(far).encode()), Sent(b"c0000004", json.dumps(erased).encode())]
            send(settings, ticks(settings, "2024-07-22T00:00:00Z"))
            wait_until(lambda: is_caught_up(topology), seconds=120, what="time has come on")
            # The order from the future is still held back then, and nothing tells so but the changelog.
            send(settings, [*ahead, Sent(b"x", b"no JSON")])
            wait_until(lambda: not worker_lag(settings), seconds=60, what="everything is applied")
            wait_until(lambda: is_stored(settings, topology.database), seconds=60, what="everything is stored")
        write_records(target / RECORDS, _records(settings))
        run(settings, "backup", str(target / BACKUP), seconds=60)


def _records(settings: Settings) -> list[FrozenRecord]:
    found = []
    for spec in specs(settings):
        for record in read_topic(replace(settings, partitions=partition_count(spec, settings)), spec.name):
            headers = tuple((name, bytes(value)) for name, value in record.headers)
            place = (record.topic, record.partition, record.offset)
            found.append(FrozenRecord(*place, record.key, record.value, headers))
    return found


if __name__ == "__main__":
    main()
