"""The figures of a run: read from SQL, shown live as a table, printed as a summary or one JSON object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table

from cli.accuracy import error_figures
from clv.money import minor_digits, to_major
from clv.outcomes import SEGMENTS, rfc3339
from storage.budget_changes import find_proposal
from storage.learning import read_metrics
from storage.overview import summarise

if TYPE_CHECKING:
    from clv.settings import Settings
    from storage.engine import Database
    from streams.lag import Lag


def run_figures(database: Database, settings: Settings) -> dict[str, Any]:
    """Return the figures of all that SQL holds; money as decimal text in major units."""
    digits = minor_digits(settings.currency)
    found = summarise(database)
    counts = {
        name: found.counts.get(name, 0)
        for name in ("received", "applied", "duplicate", "late", "dead", "erased", "ticks", "rescored")
    }
    metrics = {name: metric.figures for name, metric in read_metrics(database).items()}
    mix = {total.segment or "none yet": total.customers for total in found.segments}
    return {
        "events": {"in": counts.pop("received"), **counts},
        "dead_letters": found.dead_letters,
        "customers": found.customers,
        "currency": settings.currency,
        "revenue": to_major(found.revenue_minor, digits),
        "refunded": to_major(found.refunded_minor, digits),
        "total_clv": to_major(found.clv_minor, digits),
        "segments": {name: mix[name] for name in (*SEGMENTS, "none yet") if name in mix},
        "segment_changes": found.segment_changes,
        "scores": found.scores,
        "examples_learned": int(metrics.get("naive", {}).get("count", 0)),
        "models_published": found.models,
        "budget": _budget(database, digits),
        "prequential_error": {name: error_figures(figures, digits) for name, figures in metrics.items()},
        "event_time": rfc3339(found.watermark_ms),
        "database": database.location,
    }


def _budget(database: Database, digits: int) -> dict[str, str]:
    """Return the newest proposal's amounts; empty before the first."""
    proposal = find_proposal(database)
    if proposal is None:
        return {}
    return {name: to_major(proposal.amounts[name], digits) for name in SEGMENTS if name in proposal.amounts}


def live_table(figures: dict[str, Any], *, sent: int, total: int | None, lag: Lag | None, rate: float) -> Table:
    """Draw the figures for the terminal."""
    table = Table.grid(padding=(0, 2))
    events, errors = figures["events"], figures["prequential_error"]
    rows = {
        "dashboard": figures["dashboard"],
        "sent": f"{sent:,} of {total:,}" if total else f"{sent:,}",
        "applied": f"{events['applied']:,}  ({rate:,.0f}/s)",
        "not applied": f"{events['duplicate']:,} duplicate, {events['dead']:,} dead letters",
        "event time": figures["event_time"][:10] or "-",
        "customers": f"{figures['customers']:,}  revenue {figures['revenue']} {figures['currency']}",
        "segments": "  ".join(f"{name} {count:,}" for name, count in figures["segments"].items()) or "-",
        "learned": f"{figures['examples_learned']:,} examples, {figures['models_published']:,} models published",
        "error so far": "  ".join(f"{n} {errors[n]['deviance']:.2f}" for n in ("clv", "naive") if n in errors) or "-",
        "behind": f"{lag.orders:,} orders, {lag.outputs:,} outputs, {lag.days} event-days to learn" if lag else "-",
    }
    for name, value in rows.items():
        table.add_row(f"[bold]{name}[/bold]", value)
    return table


def summary_lines(figures: dict[str, Any]) -> list[str]:
    """Return the figures as lines for people, one a line."""
    lines = []
    for name, value in figures.items():
        shown = value
        if name == "prequential_error":
            shown = "; ".join(f"{n}: deviance {e['deviance']:.2f}, MAE {e['mae']:.2f}" for n, e in value.items())
        elif isinstance(value, dict):
            shown = ", ".join(f"{n} {c:,}" if isinstance(c, int) else f"{n} {c}" for n, c in value.items()) or "none"
        elif isinstance(value, int):
            shown = f"{value:,}"
        lines.append(f"{name.replace('_', ' '):>20}  {shown}")
    return lines
