"""A customers changelog as workers leave it, for as many customers as one likes: what recovery has to read.

Some thousand customers are really processed, four orders each over a year; the others are copies of them under
names of their own, since a row does not hold its customer's name.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.partitioner import DefaultPartitioner

from backtest.partition import MemoryPartition
from clv.rules import DAY_MS, Rules
from clv.segments import Policies
from clv.state import decode_row, encode_row, incarnation_code
from clv.topics import ORDERS, changelog_topic
from clv.verdicts import Judgement
from clv.watermark import PartitionState
from streams.clients import aiokafka_settings
from streams.delivery import MAX_BATCH_BYTES, KafkaRecord, send_records
from streams.rows import PARTITION_KEY
from streams.topics import ensure_topics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from clv.ports import Scorer
    from clv.settings import Settings

ORDERS_EACH = 4
_DISTINCT = 2_000
_SPACING_DAYS = 80
_CHUNK = 50_000
_encode_state = msgspec.msgpack.Encoder().encode


def customer_name(number: int) -> str:
    """Return a made-up customer's id."""
    return f"c{number:07d}"


def sample_rows(scorer: Scorer, rules: Rules, *, start_ms: int) -> tuple[list[bytes], int]:
    """Process some customers' orders; return their rows, and the event time reached."""
    partition = MemoryPartition()
    judgement = Judgement(scorer, Policies(), rules)
    now_ms = start_ms
    for turn in range(ORDERS_EACH):
        events: list[tuple[bytes | None, bytes]] = []
        for number in range(_DISTINCT):
            now_ms = start_ms + turn * _SPACING_DAYS * DAY_MS + number * 60_000
            customer = customer_name(number)
            order = {
                "type": "OrderPlaced",
                "event_id": f"e{turn}-{number}",
                "order_id": f"o{turn}-{number}",
                "customer_id": customer,
                "occurred_at": now_ms // 1_000,
                "schema_version": 1,
                "total": f"{10 + number % 90}.50",
                "currency": rules.currency,
                "source": ("search", "social", "mail", "direct")[number % 4],
                "items": [{"sku": "s1", "category": f"category {number % 6}", "quantity": 1}],
            }
            events.append((customer.encode(), msgspec.json.encode(order)))
        if turn:  # nobody agrees to a jump of time alone; a Tick says that it is so
            tick = {
                "type": "Tick",
                "occurred_at": (start_ms + turn * _SPACING_DAYS * DAY_MS) // 1_000,
                "schema_version": 1,
            }
            events.insert(0, (None, msgspec.json.encode(tick)))
        partition.feed(events, judgement)
    rows, _ = partition.position
    return list(rows.values()), now_ms


def fill_changelog(
    settings: Settings, rows: list[bytes], customers: int, *, front_ms: int, observe: Callable[[int], None]
) -> int:
    """Write the rows of so many customers, and the partitions' own last; return the bytes written."""
    return asyncio.run(_fill(settings, rows, customers, front_ms, observe))


async def _fill(
    settings: Settings, rows: list[bytes], customers: int, front_ms: int, observe: Callable[[int], None]
) -> int:
    topic_id = (await ensure_topics(settings))[ORDERS]
    incarnation = incarnation_code(topic_id)
    fresh = []
    for row in rows:
        decoded = decode_row(row, 0)
        decoded.applied_offset = -1
        fresh.append(encode_row(decoded, incarnation))
    numbers = list(range(settings.partitions))
    topic = changelog_topic(settings.group)
    written = 0
    async with AIOKafkaProducer(acks="all", max_batch_size=MAX_BATCH_BYTES, **aiokafka_settings(settings)) as producer:
        for chunk in _chunks(fresh, customers, numbers):
            for number, records in chunk.items():
                await asyncio.gather(*(sent for sent, _ in await send_records(producer, topic, number, records)))
                written += sum(len(key or b"") + len(value or b"") for key, value, _ in records)
            observe(written)
        for number in numbers:
            state = _encode_state(PartitionState(front_ms=front_ms, topic_id=topic_id))
            await producer.send_and_wait(topic, state, key=PARTITION_KEY, partition=number)
    return written


def _chunks(rows: list[bytes], customers: int, numbers: list[int]) -> Iterator[dict[int, list[KafkaRecord]]]:
    partition_of = DefaultPartitioner()
    for start in range(0, customers, _CHUNK):
        chunk: dict[int, list[KafkaRecord]] = {number: [] for number in numbers}
        for number in range(start, min(start + _CHUNK, customers)):
            key = customer_name(number).encode()
            chunk[partition_of(key, numbers, numbers)].append((key, rows[number % len(rows)], []))
        yield chunk
