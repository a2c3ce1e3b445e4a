"""A worker's start with many customers in its changelog: how long until it scores, and what it then holds in memory."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from benchmarks.changelog import ORDERS_EACH, customer_name, fill_changelog, sample_rows
from benchmarks.subjects import OURS, started
from clv.errors import BrokerError
from clv.rules import Rules
from clv.topics import ORDERS, SCORES
from streams.clients import aiokafka_settings
from streams.topics import ensure_topics, orders_group

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.subjects import Subject
    from clv.ports import Scorer
    from clv.settings import Settings

STORES = ("memory", "rocksdb")
TARGET_COLD_SECONDS, TARGET_WARM_SECONDS, TARGET_BYTES = 20.0, 3.0, 600
_MOST_SECONDS = 600.0
_SETTLE_SECONDS = 2.0


class _Started(NamedTuple):
    """A start: seconds to the first score and to the last partition's, processor seconds, and bytes held then."""

    first_seconds: float
    all_seconds: float
    cpu_seconds: float
    resident_bytes: int

    def as_dict(self) -> dict[str, float]:
        return {
            "first_s": round(self.first_seconds, 2),
            "all_s": round(self.all_seconds, 2),
            "cpu_s": round(self.cpu_seconds, 2),
            "resident_mb": round(self.resident_bytes / 2**20, 1),
        }


def measure_recovery(
    settings: Settings,
    scorer: Scorer,
    *,
    customers: int,
    start_ms: int,
    observe: Callable[[str], None] = lambda _name: None,
) -> dict[str, Any]:
    """Start a worker on a filled changelog: each store with nothing local, and RocksDB with what the first start left.

    Raises
    ------
    BrokerError
        When a worker does not come to score.
    """
    own = replace(settings, group=f"recovery-{os.getpid()}")
    rows, front_ms = sample_rows(scorer, Rules.from_settings(own), start_ms=start_ms)
    written = fill_changelog(
        own, rows, customers, front_ms=front_ms, observe=lambda done: observe(f"{done >> 20} MB of changelog")
    )
    probes = Probes(own, front_ms)
    found = {}
    for label, store in (("memory_cold", "memory"), ("rocksdb_cold", "rocksdb"), ("rocksdb_warm", "rocksdb")):
        found[label] = probes.start(store).as_dict()
        observe(label.replace("_", ", "))
    return {
        "starts": found,
        "customers": customers,
        "changelog_bytes_per_customer": round(written / customers, 1),
        "target_s": {"cold": TARGET_COLD_SECONDS, "warm": TARGET_WARM_SECONDS},
    }


def measure_memory(
    settings: Settings,
    scorer: Scorer,
    *,
    sizes: Sequence[int],
    start_ms: int,
    observe: Callable[[str], None] = lambda _name: None,
) -> dict[str, Any]:
    """Start workers on changelogs of several sizes; return what each holds more than one without customers.

    Pending labels, timers and the memory of duplicates of four orders a customer are in it.

    Raises
    ------
    BrokerError
        When a worker does not come to score.
    """
    rows, front_ms = sample_rows(scorer, Rules.from_settings(settings), start_ms=start_ms)
    held: dict[str, dict[int, int]] = {store: {} for store in STORES}
    on_disk = {}
    for size in (0, *sizes):
        own = replace(settings, group=f"memory-{size}-{os.getpid()}")
        fill_changelog(own, rows, size, front_ms=front_ms, observe=lambda done: observe(f"{done >> 20} MB"))
        probes = Probes(own, front_ms)
        for store in STORES:
            held[store][size] = probes.start(store).resident_bytes
            observe(f"{size:,} customers, {store}")
        if size:
            folder = own.data_dir / f"{own.group}-rocksdb"
            taken = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
            on_disk[str(size)] = round(taken / size, 1)
    return {
        "stores": {
            store: {
                str(size): {
                    "resident_mb": round(found[size] / 2**20, 1),
                    "bytes_per_customer": round((found[size] - found[0]) / size, 1),
                }
                for size in sizes
            }
            for store, found in held.items()
        },
        "empty_mb": {store: round(found[0] / 2**20, 1) for store, found in held.items()},
        "rocksdb_disk_bytes_per_customer": on_disk,
        "orders_per_customer": ORDERS_EACH,
        "row_bytes": round(sum(map(len, rows)) / len(rows), 1),
        "target_bytes": TARGET_BYTES,
    }


class Probes:
    """Orders that show when a worker scores: one a partition for each start, later than all before."""

    def __init__(self, settings: Settings, front_ms: int) -> None:
        self._settings = settings
        self._now_ms = front_ms
        self._sent = 0

    def start(self, store: str) -> _Started:
        """Start a worker with this store, and watch it until it has scored an order of each partition."""
        settings = replace(self._settings, store=store)
        awaited, ends = asyncio.run(self._prepare())
        begun = time.perf_counter()
        with started(settings, OURS, settings.group, worker=f"{settings.group}-{store}", is_killed=False) as worker:
            return asyncio.run(_watch(settings, worker, awaited, ends, begun))

    async def _prepare(self) -> tuple[set[str], dict[TopicPartition, int]]:
        """Send the orders; return their ids, and where the scores end before them."""
        if not self._sent:
            await self._come_to_the_end()
        options = aiokafka_settings(self._settings)
        async with AIOKafkaProducer(acks="all", **options) as producer, AIOKafkaConsumer(**options) as consumer:
            places = [TopicPartition(SCORES, number) for number in range(self._settings.partitions)]
            ends = await consumer.end_offsets(places)
            return await self._send(producer), ends

    async def _come_to_the_end(self) -> None:
        """Commit offsets as a worker leaves them that has read everything."""
        group = orders_group(self._settings, (await ensure_topics(self._settings))[ORDERS])
        options = aiokafka_settings(self._settings)
        async with AIOKafkaConsumer(group_id=group, enable_auto_commit=False, **options) as consumer:
            places = [TopicPartition(ORDERS, number) for number in range(self._settings.partitions)]
            consumer.assign(places)
            await consumer.commit(await consumer.end_offsets(places))

    async def _send(self, producer: AIOKafkaProducer) -> set[str]:
        awaited = set()
        for number in range(self._settings.partitions):
            self._now_ms += 1_000
            self._sent += 1
            customer, name = customer_name(number), f"probe-{self._sent}"
            order = {
                "type": "OrderPlaced",
                "event_id": name,
                "order_id": name,
                "customer_id": customer,
                "occurred_at": self._now_ms // 1_000,
                "schema_version": 1,
                "total": "10.00",
                "currency": self._settings.currency,
            }
            await producer.send_and_wait(ORDERS, msgspec.json.encode(order), key=customer.encode(), partition=number)
            awaited.add(name)
        return awaited


class _Cause(msgspec.Struct):
    cause: str = ""


_read = msgspec.json.Decoder(_Cause).decode


async def _watch(
    settings: Settings, worker: Subject, awaited: set[str], ends: dict[TopicPartition, int], begun: float
) -> _Started:
    first = 0.0
    async with AIOKafkaConsumer(enable_auto_commit=False, **aiokafka_settings(settings)) as consumer:
        consumer.assign(list(ends))
        for place, end in ends.items():
            consumer.seek(place, end)
        while awaited:
            worker.check()
            if time.perf_counter() - begun > _MOST_SECONDS:
                raise BrokerError(f"nothing scored within {_MOST_SECONDS:.0f} seconds", f"its log: {worker.log}")
            for records in (await consumer.getmany(timeout_ms=200)).values():
                for record in records:
                    if record.value is not None and (cause := _read(record.value).cause) in awaited:
                        first = first or time.perf_counter() - begun
                        awaited.discard(cause)
    last = time.perf_counter() - begun
    cpu = worker.cpu_seconds()
    await asyncio.sleep(_SETTLE_SECONDS)
    return _Started(first, last, cpu, worker.resident_bytes())
