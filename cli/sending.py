"""What ``replay``, ``generate`` and ``import`` share: a log onto the running broker, with a progress bar."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import typer
from rich.console import Console

from cli.progress import progress
from clv.money import to_major
from clv.outcomes import rfc3339
from clv.settings import DAY_MS
from clv.topics import ORDERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from clv.settings import Settings
    from producers.pace import Pace
    from producers.positions import ReplayPositions
    from producers.replay import ReplayableLog, ReplayOptions, ReplayResult

INTERRUPTED = 130
"""Exit code after Ctrl-C."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """A log and how to send it.

    Parameters
    ----------
    total
        Events that will be sent, for the progress bar; None where it is not known.
    max_lead_days
        Event-days that a replay at full speed may be ahead of those who learn from it; 0: doesn't wait.
    is_resumable
        Go on from where an interrupted sending of this log to this topic ended, and remember where this one does.
    is_restarted
        Forget that place first.
    """

    log: ReplayableLog
    currency: str
    options: ReplayOptions
    total: int | None
    max_lead_days: int
    is_resumable: bool = True
    is_restarted: bool = False
    title: str = "events"


def with_broker(settings: Settings, broker: str) -> Settings:
    """Return the settings with the broker that is meant: as given, as set, or the data directory's embedded one."""
    from streams.clients import bootstrap

    settings = replace(settings, broker=broker) if broker else settings
    return replace(settings, broker=bootstrap(settings))


def send(sending: Sending, settings: Settings, observe: Callable[[int, int], None] | None = None) -> ReplayResult:
    """Send a log to the orders topic of ``settings.broker``, making the topics if they are not there.

    Progress goes to ``observe`` (events sent, event time in milliseconds) if given, else to standard error when that
    is a terminal.

    Raises
    ------
    BrokerError
        When the broker is not there or loses a delivery.
    """
    from producers.positions import FilePositions
    from producers.publisher import KafkaPublisher
    from producers.replay import Replay
    from streams.topics import ensure_topics

    topic_ids = asyncio.run(ensure_topics(settings))
    positions = FilePositions(settings.data_dir / "positions", topic_ids[ORDERS]) if sending.is_resumable else None
    if positions and sending.is_restarted:
        positions.put(sending.log.key, None)
    shown = progress(sending.title, sending.total, Console(stderr=True))
    with (
        KafkaPublisher(settings, currency=sending.currency) as publisher,
        _pace(sending, settings, positions) as pace,
        contextlib.nullcontext(observe) if observe else shown as watched,
    ):
        return Replay(
            log=sending.log,
            sink=publisher,
            options=sending.options,
            pace=pace,
            positions=positions,
            observe=watched,
        ).run()


def report(
    result: ReplayResult, *, currency: str, digits: int, more: Mapping[str, object], is_json: bool, is_resumable: bool
) -> None:
    """Print what was sent, for people or as one JSON object; exit with ``INTERRUPTED`` after Ctrl-C."""
    figures = {
        "events_sent": result.events,
        "orders": result.orders,
        "refunds": result.refunds,
        "ticks": result.ticks,
        "revenue": to_major(result.revenue_minor, digits),
        "refunded": to_major(result.refunded_minor, digits),
        "currency": currency,
        **more,
        "last_event_at": rfc3339(result.last_ms),
        "resumed_from": rfc3339(result.resumed_from_ms),
        "interrupted": result.is_interrupted,
        "seconds": round(result.seconds, 3),
        "events_per_second": round(result.events_per_second, 1),
    }
    if is_json:
        typer.echo(json.dumps(figures))
    else:
        for name, figure in figures.items():
            if figure not in {"", 0} or name == "events_sent":
                typer.echo(f"{name.replace('_', ' '):>20}  {figure}")
    if result.is_interrupted:
        if is_resumable:
            typer.echo("the same command goes on from here", err=True)
        sys.exit(INTERRUPTED)


@contextlib.contextmanager
def _pace(sending: Sending, settings: Settings, positions: ReplayPositions | None) -> Iterator[Pace]:
    from producers.pace import LeadPace, NoPace
    from producers.progress import TopicProgress
    from producers.replay import FULL_SPEED

    if sending.max_lead_days <= 0 or sending.options.speed != FULL_SPEED:
        yield NoPace()
        return
    # Watermarks are behind by the allowed lateness even when nobody is.
    lead_ms = sending.max_lead_days * DAY_MS + settings.allowed_lateness_ms
    resumed = positions.get(sending.log.key) if positions else None
    start_ms = resumed.through_ms if resumed else sending.log.first_ms
    with TopicProgress(settings) as source:
        yield LeadPace(source, max_lead_ms=lead_ms, start_ms=start_ms)
