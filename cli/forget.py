"""``clv forget``: erase customers everywhere, and see that nothing is left."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated, Any

import tenacity
import typer
from rich.console import Console

from clv.settings import Settings
from clv.topics import ORDERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from storage.engine import Database
    from streams.erasing import Ends

_LOOK_SECONDS = 0.5
_LEFT = 1


def command(
    customers: Annotated[list[str] | None, typer.Argument(metavar="[CUSTOMER]...", help="Whom to erase.")] = None,
    *,
    file: Annotated[Path | None, typer.Option(help="One customer id a line.", exists=True, dir_okay=False)] = None,
    is_agreed: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    is_looking: Annotated[
        bool, typer.Option("--look", help="Erase nobody: read SQL and every topic, and say where they are named.")
    ] = False,
    timeout: Annotated[int, typer.Option(min=1, help="Seconds to wait until nothing is left in SQL.")] = 120,
    broker: Annotated[str, typer.Option(help="host:port [default: CLV_BROKER, else the running `clv up`].")] = "",
    is_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Erase customers: from the workers' table and its changelog, SQL, training examples, audiences, dead letters.

    Sends a CustomerErased event each, waits until it is through, and counts what still names them in SQL; exits with
    1 if anything does but the audiences, which follow at the next turn of the ads role. Whatever happened up to now is
    forgotten and does not count when it comes again; orders after it begin a new history. Topics keep their records as
    long as docs/privacy.md says: see which with --look.

    Example:
        clv forget c-1042
    """
    from cli.sending import with_broker
    from clv.errors import InputError
    from storage.engine import Database

    ids = list(dict.fromkeys([*(customers or ()), *(_lines(file) if file else ())]))
    if not ids:
        raise InputError("no customer is named", "clv forget CUSTOMER …, or --file with an id a line")
    settings = with_broker(Settings.from_env(), broker)
    if not is_looking and not is_agreed:
        _ask(ids)
    database = Database(settings.sql_url)
    try:
        if is_looking:
            _report_found(_look(settings, database, ids), is_json=is_json)
            return
        is_through = _erase(settings, database, ids, timeout=timeout)
        left = _stored(database, ids)
        _report_erased({"erased": len(ids), "is_through": is_through, "left_in_sql": left}, is_json=is_json)
        if not is_through or any(_of_the_sink(places) for places in left.values()):
            raise typer.Exit(_LEFT)
    finally:
        database.close()


def _lines(file: Path) -> list[str]:
    return [line for line in file.read_text(encoding="utf-8").splitlines() if line]


def _ask(ids: Sequence[str]) -> None:
    from clv.errors import InputError

    if not sys.stdin.isatty():
        raise InputError("an erasure cannot be taken back, and nobody can be asked", "say --yes")
    whom = ids[0] if len(ids) == 1 else f"{len(ids):,} customers"
    typer.confirm(f"Erase {whom} for good?", abort=True, err=True)


def _erase(settings: Settings, database: Database, ids: Sequence[str], *, timeout: int) -> bool:
    """Send the erasures and wait; tell whether all of them went through in time."""
    from streams.erasing import is_stored, outputs_behind, send_events
    from streams.topics import ensure_topics

    orders_id = asyncio.run(ensure_topics(settings))[ORDERS]
    ends = asyncio.run(send_events(settings, _events(settings, database, ids)))
    behind: Ends | None = None

    def is_through() -> bool:
        nonlocal behind
        behind = behind or asyncio.run(outputs_behind(settings, ends, orders_id))
        return behind is not None and is_stored(database, behind)

    wait = tenacity.Retrying(
        stop=tenacity.stop_after_delay(timeout),
        wait=tenacity.wait_fixed(_LOOK_SECONDS),
        retry=tenacity.retry_if_result(lambda is_done: not is_done),
        retry_error_callback=lambda _: False,
    )
    with Console(stderr=True).status(f"{len(ids):,} erasures on their way through workers and sink"):
        return bool(wait(is_through))


def _events(settings: Settings, database: Database, ids: Sequence[str]) -> list[tuple[bytes, bytes]]:
    from clv.erasure import erasure_time_ms
    from clv.events import CustomerErased, decode_event
    from clv.outcomes import event_id
    from clv.rules import Rules
    from producers.encode import encode_event, key_of
    from storage.erasure import find_standing
    from storage.overview import partition_progress

    rules, now_ms = Rules.from_settings(settings), round(time.time() * 1000)
    fronts = {n: place.watermark_ms + rules.lateness_ms for n, place in partition_progress(database).items()}
    events = []
    for customer_id in ids:
        standing = find_standing(database, customer_id)
        front_ms = max(fronts.values(), default=-1)
        if standing is not None:
            front_ms = max(fronts.get(standing.partition, -1), standing.as_of_ms)
        at_ms = erasure_time_ms(now_ms, front_ms, rules.far_ahead_ms)
        event = CustomerErased(event_id("erasure", customer_id, at_ms), customer_id, at_ms)
        key, value = key_of(event), encode_event(event, currency=rules.currency, digits=rules.digits)
        decode_event(value, key, currency=rules.currency, digits=rules.digits)  # an impossible id fails here, for all
        events.append((key, value))
    return events


def _stored(database: Database, ids: Sequence[str]) -> dict[str, dict[str, int]]:
    from storage.erasure import mentions

    found = {customer_id: mentions(database, customer_id) for customer_id in ids}
    return {customer_id: places for customer_id, places in found.items() if places}


def _of_the_sink(places: dict[str, int]) -> bool:
    from storage.erasure import BY_ADS

    return bool(places.keys() - {table.name for table in BY_ADS})


def _look(settings: Settings, database: Database, ids: Sequence[str]) -> dict[str, Any]:
    from rich.progress import Progress

    from storage.erasure import json_text
    from streams.erasing import find_mentions

    keys = {customer_id.encode() for customer_id in ids}
    texts = [json_text(customer_id) for customer_id in ids]

    def names(key: bytes, value: bytes) -> bool:
        return key in keys or any(text in value for text in texts)

    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("records read", total=None)
        topics = asyncio.run(find_mentions(settings, names, lambda count: bar.advance(task, count)))
    return {"in_sql": _stored(database, ids), "in_topics": dict(topics)}


def _report_erased(figures: dict[str, Any], *, is_json: bool) -> None:
    if is_json:
        typer.echo(json.dumps(figures))
        return
    state = "through" if figures["is_through"] else "sent, not through yet: do a worker and a sink run?"
    typer.echo(f"{figures['erased']} erasures {state}")
    _say_stored(figures["left_in_sql"])
    if not figures["left_in_sql"]:
        typer.echo("nothing in SQL names them")


def _report_found(figures: dict[str, Any], *, is_json: bool) -> None:
    if is_json:
        typer.echo(json.dumps(figures))
        return
    _say_stored(figures["in_sql"])
    for topic, count in figures["in_topics"].items():
        typer.echo(f"in {topic}: {count} records")
    if not any(figures.values()):
        typer.echo("nothing names them")


def _say_stored(found: dict[str, dict[str, int]]) -> None:
    for customer_id, places in found.items():
        typer.echo(f"in SQL: {customer_id}: {', '.join(f'{name} {count}' for name, count in places.items())}")
