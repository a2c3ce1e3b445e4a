"""``clv rescore``: every customer scored by the models and the policy that are in force now."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clv.events import RescoreAsked
    from storage.engine import Database

_PAGE = 1_000


def command(
    *,
    segment: Annotated[str, typer.Option(help="Only customers of this segment.")] = "",
    is_outdated: Annotated[
        bool, typer.Option("--outdated", help="Only customers whose score is not by the newest scorer and policy.")
    ] = False,
    rate: Annotated[float, typer.Option(min=0.1, help="Customers a second at most.")] = 500.0,
    is_dry: Annotated[bool, typer.Option("--dry-run", help="Ask for nothing, only count.")] = False,
    broker: Annotated[str, typer.Option(help="host:port [default: CLV_BROKER, else the running `clv up`].")] = "",
    is_json: Annotated[bool, typer.Option("--json", help="Print one JSON object at the end.")] = False,
) -> None:
    """Ask the workers to score customers again, after a new model or policy, without waiting for their next event.

    Sends a RescoreAsked event for each customer that SQL knows, at a pace that leaves orders their room. Scores come
    as after an event; segments that change give their reason. Interrupted, `--outdated` asks for the rest.

    Example:
        clv rescore --outdated --rate 200
    """
    from rich.console import Console

    from cli.progress import progress
    from cli.sending import INTERRUPTED, with_broker
    from clv.outcomes import SEGMENTS
    from clv.settings import Settings
    from producers.publisher import KafkaPublisher
    from storage.engine import Database

    if segment and segment not in SEGMENTS:
        raise typer.BadParameter(f"{segment!r} is none of {', '.join(SEGMENTS)}", param_hint="--segment")
    settings = Settings.from_env()
    database = Database(settings.sql_url)
    began, sent, is_interrupted = time.monotonic(), 0, False
    try:
        chosen = list(_chosen(database, segment=segment, is_outdated=is_outdated))
        if not is_dry and chosen:
            asked_ms = round(time.time() * 1_000)
            with (
                KafkaPublisher(with_broker(settings, broker), currency=settings.currency) as publisher,
                progress("customers", len(chosen), Console(stderr=True)) as observe,
            ):
                try:
                    for customer_id in chosen:
                        time.sleep(max(began + sent / rate - time.monotonic(), 0.0))
                        publisher.send(_asked(customer_id, asked_ms))
                        sent += 1
                        observe(sent, asked_ms)
                except KeyboardInterrupt:
                    is_interrupted = True
                publisher.flush()
    finally:
        database.close()
    figures = {"customers": len(chosen), "asked": sent, "interrupted": is_interrupted}
    _report(figures, time.monotonic() - began, is_json=is_json)
    if is_interrupted:
        sys.exit(INTERRUPTED)


def _asked(customer_id: str, asked_ms: int) -> RescoreAsked:
    from clv.events import RescoreAsked
    from clv.outcomes import event_id

    return RescoreAsked(event_id("rescore", customer_id, asked_ms), customer_id, asked_ms)


def _chosen(database: Database, *, segment: str, is_outdated: bool) -> Iterator[str]:
    """Return customers by their ids: all, those of a segment, those whose score is by older versions."""
    from storage.customers import CustomerFilter, list_customers

    newest = _newest(database) if is_outdated else {}
    after = None
    while True:
        wanted = CustomerFilter(segment=segment or None)
        page = list_customers(database, wanted, sort="customer_id", is_descending=False, limit=_PAGE, after=after)
        for row in page.rows:
            used = json.loads(row["model_versions"]) if newest else {}
            if not is_outdated or any(used.get(name) != version for name, version in newest.items()):
                yield row["customer_id"]
        after = page.next
        if after is None:
            return


def _newest(database: Database) -> dict[str, str]:
    """Return the newest versions of scorer and policy, as scores name them."""
    from clv.published import POLICY_NAME, SCORER_NAME, sequence_of
    from storage.learning import read_models

    names = {SCORER_NAME: "scorer", POLICY_NAME: "policy"}
    models = sorted((m for m in read_models(database) if m.name in names), key=lambda m: sequence_of(m.version))
    return {names[model.name]: model.version for model in models}


def _report(figures: dict[str, Any], seconds: float, *, is_json: bool) -> None:
    if is_json:
        typer.echo(json.dumps(figures | {"seconds": round(seconds, 3)}))
        return
    typer.echo(f"{figures['asked']:,} of {figures['customers']:,} customers asked for in {seconds:.1f} s")
    if figures["interrupted"]:
        typer.echo("the rest: clv rescore --outdated", err=True)
