"""``clv explain``: what became of an event."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from clv.topics import ORDERS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from clv.pipeline import Record
    from clv.rules import Rules
    from clv.settings import Settings
    from clv.state import CustomerState
    from storage.engine import Database

Found = dict[str, Any]


def command(
    event_id: Annotated[str, typer.Argument(metavar="EVENT", help="event_id of an order event, or of an output.")],
    *,
    customer: Annotated[str, typer.Option(help="Whose event it is: then one partition is read, not all.")] = "",
    broker: Annotated[str, typer.Option(help="host:port [default: CLV_BROKER, else the running `clv up`].")] = "",
    is_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Say what became of an event: where it lies, whether it was applied and how that is known, what came of it.

    Reads the orders topic from its beginning, and what SQL keeps. An output's event_id (a score's, a segment change's)
    leads to the event that caused it. Nothing of what the event says is shown.

    Example:
        clv explain order-5417 --customer c-1042
    """
    from cli.sending import with_broker
    from clv.errors import InputError
    from clv.settings import Settings
    from storage.engine import Database
    from storage.hindsight import cause_of

    settings = with_broker(Settings.from_env(), broker)
    database = Database(settings.sql_url)
    try:
        output = cause_of(database, event_id)
        asked, led_by = event_id, ""
        if output is not None:
            led_by, cause, customer = output
            if _is_of_time(cause):
                _report({"event_id": event_id, "is_in": led_by, "cause": cause, "records": []}, is_json=is_json)
                return
            asked = cause
        records = _records(settings, _ids_of(cause) if led_by else {event_id}, customer)
        if led_by and records:
            asked = _id_of(records[0][1].value or b"")
        if not records:
            raise InputError(
                f"no record of {ORDERS} has the event_id {asked!r}", "the topic may not keep it any more (retention)"
            )
        found = {"event_id": asked} | ({"is_cause_of": event_id, "is_in": led_by} if led_by else {})
        _report(found | {"records": _told(settings, database, records)}, is_json=is_json)
    finally:
        database.close()


def _is_of_time(cause: str) -> bool:
    """Tell whether a score was given out because time had passed, not for an event.

    Examples
    --------
    >>> _is_of_time("silence:86400000"), _is_of_time("silence:of-the-lambs"), _is_of_time("order:17")
    (True, False, False)
    """
    return re.fullmatch(r"silence:[0-9]+", cause) is not None


def _ids_of(cause: str) -> set[str]:
    """Return the event ids that a cause may mean: itself, and what stands before the offset of a `RescoreAsked`.

    Examples
    --------
    >>> sorted(_ids_of("ask@17")), sorted(_ids_of("order-1@shop"))
    (['ask', 'ask@17'], ['order-1@shop'])
    """
    asked = re.fullmatch(r"(.+)@[0-9]+", cause, flags=re.DOTALL)
    return {cause, asked[1]} if asked else {cause}


def _may_hold(value: bytes, event_ids: Collection[str]) -> bool:
    r"""Tell whether to look closer at a record: JSON may write an id's characters with backslashes, as it likes.

    Examples
    --------
    >>> _may_hold(rb'{"event_id": "a\/1"}', {"a/1"}), _may_hold(b'{"event_id": "b"}', {"a"})
    (True, False)
    """
    return b"\\" in value or any(event_id.encode(errors="replace") in value for event_id in event_ids)


def _records(settings: Settings, event_ids: Collection[str], customer: str) -> list[tuple[int, Record]]:
    """Return the records with one of these event ids, by partition and offset."""
    from aiokafka import TopicPartition
    from aiokafka.partitioner import DefaultPartitioner
    from rich.progress import Progress

    numbers = list(range(settings.partitions))
    if customer:
        numbers = [DefaultPartitioner()(customer.encode(), numbers, numbers)]
    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("records read", total=None)
        places = [TopicPartition(ORDERS, number) for number in numbers]
        return asyncio.run(_search(settings, places, event_ids, lambda count: bar.advance(task, count)))


async def _search(
    settings: Settings, places: list[Any], event_ids: Collection[str], observe: Callable[[int], None]
) -> list[tuple[int, Record]]:
    from clv.pipeline import Record
    from streams.scanning import scan

    found = []
    async for place, records in scan(settings, places):
        observe(len(records))
        for each in records:
            value = each.value or b""
            if _may_hold(value, event_ids) and _id_of(value) in event_ids:
                found.append((place.partition, Record(each.offset, each.key, each.value)))
    return sorted(found, key=lambda pair: (pair[0], pair[1].offset))


def _id_of(value: bytes) -> str:
    try:
        body = json.loads(value)
    except (ValueError, RecursionError):
        return ""
    return str(body.get("event_id", "")) if isinstance(body, dict) else ""


def _told(settings: Settings, database: Database, records: list[tuple[int, Record]]) -> list[Found]:
    from aiokafka import TopicPartition

    from clv.hindsight import Kept, tell
    from clv.rules import Rules
    from storage.hindsight import outputs_of
    from storage.letters import get_letter
    from storage.overview import partition_progress
    from streams.admin import group_lag
    from streams.ends import end_offsets
    from streams.topics import orders_group, topic_ids

    rules = Rules.from_settings(settings)
    ids = asyncio.run(topic_ids(settings))
    lags = group_lag(settings, group=orders_group(settings, ids[ORDERS]), topic=ORDERS)
    ends = asyncio.run(end_offsets(settings, [TopicPartition(ORDERS, number) for number in lags]))
    fronts = {n: p.watermark_ms + rules.lateness_ms for n, p in partition_progress(database).items()}
    told: list[Found] = []
    applied: dict[str, Found] = {}  # a customer's ledger knows its own ids alone
    for partition, record in records:
        customer_id, cause, at_ms = _named(record, rules)
        outputs = outputs_of(database, customer_id, [cause, f"{cause}@{record.offset}"], at_ms) if cause else {}
        acknowledged = ends[TopicPartition(ORDERS, partition)] - lags[partition]
        letter = get_letter(database, ORDERS, partition, record.offset) or {}
        if letter.get("incarnation") != ids[ORDERS]:
            letter = {}  # of another life of the topic
        kept = Kept(
            is_read=record.offset < acknowledged,
            reason=letter.get("reason", ""),
            detail=letter.get("detail", ""),
            state=_state_of(database, customer_id, rules, ids[ORDERS]) if customer_id else None,
            has_score="scores" in outputs,
            front_ms=fronts.get(partition, -1),
        )
        verdict, because = tell(record.key, record.value, kept, rules)
        first = applied.get(customer_id)
        if verdict == "applied" and first is not None:
            verdict, because = "duplicate", f"the same event lies at {first['partition']}/{first['offset']}"
            outputs = {}
        told.append(
            {
                "partition": partition,
                "offset": record.offset,
                "acknowledged_to": acknowledged,
                "verdict": verdict,
                "because": because,
                "outputs": _shown(outputs),
            }
        )
        if verdict == "applied":
            applied[customer_id] = told[-1]
    return told


def _named(record: Record, rules: Rules) -> tuple[str, str, int]:
    """Return customer, event id and event time of a record that can be read; else empty texts and −1."""
    from clv.errors import EventError
    from clv.events import Tick, decode_event

    try:
        event = decode_event(record.value, record.key, currency=rules.currency, digits=rules.digits)
    except EventError:
        return "", "", -1
    return ("" if isinstance(event, Tick) else event.customer_id), event.event_id, event.occurred_ms


def _state_of(database: Database, customer_id: str, rules: Rules, topic_id: str) -> CustomerState | None:
    """Return the customer's state as SQL has it, or what remains of it after an erasure."""
    from clv.erasure import remains_name
    from clv.state import decode_row, incarnation_code
    from storage.states import rows_of_key

    for name in (customer_id, remains_name(customer_id, rules.erasure_key)):
        for row in rows_of_key(database, name.encode()).values():
            return decode_row(row, incarnation_code(topic_id)).state
    return None


def _shown(outputs: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    from clv.outcomes import rfc3339

    return {
        name: [
            {
                key.removesuffix("_ms") if key.endswith("_ms") else key: rfc3339(each) if key.endswith("_ms") else each
                for key, each in row.items()
            }
            for row in rows
        ]
        for name, rows in outputs.items()
    }


def _report(found: Found, *, is_json: bool) -> None:
    if is_json:
        typer.echo(json.dumps(found, indent=2))
        return
    if "is_cause_of" in found:
        typer.echo(f"{found['is_cause_of']} is in {found['is_in']}, caused by {found['event_id']}")
    elif "cause" in found:
        typer.echo(f"{found['event_id']} is in {found['is_in']}, caused by no event but by time: {found['cause']}")
    for each in found["records"]:
        typer.echo(f"{ORDERS}/{each['partition']}/{each['offset']}: {each['verdict']}: {each['because']}")
        for name, rows in each["outputs"].items():
            for row in rows:
                typer.echo(f"    {name}: {'  '.join(str(value) for value in row.values())}")
