"""Model cards and switches of champion as people read them: money in the currency's major unit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from cli.accuracy import error_figures

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from models.card import ModelCard
    from storage.cards import StoredEvent

_LEAST_RISE = 0.0005
"""Of the deviance: less reads as nothing."""


def window_of(card: ModelCard) -> dict[str, str]:
    """Return the days that a card's examples lie in: the first was scored, the last matured; empty without any."""
    return {"from": card.window.first_as_of, "to": card.window.last_matured_at}


def days(window: Mapping[str, str] | None) -> str:
    """Return a window as two dates, a dash without one.

    Examples
    --------
    >>> days({"from": "2024-01-05T10:00:00Z", "to": "2024-07-18T00:00:00Z"}), days(None)
    ('2024-01-05/2024-07-18', '-')
    """
    return f"{window['from'][:10]}/{window['to'][:10]}" if window and window["from"] else "-"


def ratio(error: float | None) -> str:
    """Return a relative error, a dash below the minimum of examples.

    Examples
    --------
    >>> ratio(0.97312), ratio(None)
    ('0.9731', '-')
    """
    return "-" if error is None else f"{error:.4f}"


def pairs(figures: Mapping[str, Any]) -> str:
    """Return figures in one line, counts in full and the rest in four digits; a dash without any.

    Examples
    --------
    >>> pairs({"examples": 12340, "mae": 40.2718, "base": "abc"}), pairs({})
    ('examples 12,340  mae 40.27  base abc', '-')
    """
    return "  ".join(f"{name} {_figure(value)}" for name, value in figures.items()) or "-"


def card_lines(card: ModelCard, *, digits: int) -> Iterator[str]:
    """Yield a card as lines: what answers and why, the data behind it, each candidate's error, settings."""
    window = card.window
    yield _line("published because", card.cause + (f" of {card.restores}" if card.restores else ""))
    yield _line("champion", f"{card.champion}  {_why(card)}")
    if card.pin:
        yield _line("pinned", f"{card.pin.champion or card.pin.version} since {card.pin.since}")
    yield _line("parent", card.parent or "-")
    yield _line("horizon", f"{card.horizon_days} days")
    yield _line("examples", f"{window.example_count}, scored from {window.first_as_of or '-'}")
    yield _line("", f"to {window.last_as_of or '-'}, the last matured {window.last_matured_at or '-'}")
    yield _line("customers", f"{card.customers}, of them {card.repeat_customers} bought again")
    if card.glm:
        windows, customers = card.glm.window_count, card.glm.customer_count
        yield _line("glm windows", f"{windows}, of {customers} customers, over btyd {card.glm.btyd_version}")
    yield _line("members", pairs(card.members))
    yield _line("weights", pairs(card.weights))
    if card.ensemble:
        yield _line("ensemble weights", pairs(card.ensemble.weights))
        held_out = {name: error / 10 ** (digits / 2) for name, error in card.ensemble.held_out_deviance.items()}
        yield _line("held-out deviance", pairs(held_out) + f"  ({card.ensemble.example_count} examples)")
    for name, metrics in card.metrics.items():
        yield _line(name, f"{pairs(error_figures(metrics, digits))}  vs btyd {ratio(card.relative_errors.get(name))}")
    for alarm in card.drift:
        yield _line("drift", f"{alarm.at}  {alarm.detector} {alarm.before:.4g} -> {alarm.after:.4g}")
    yield from _importance_lines(card)
    yield _line("training", pairs(card.training))
    yield _line("features", f"{len(card.features)}, digest {card.feature_digest}")
    yield _line("", ", ".join(card.features))
    yield _line("digest", card.digest)


def event_figures(event: StoredEvent) -> dict[str, Any]:
    """Return a switch as plain data."""
    from clv.outcomes import rfc3339

    return {
        "version": event.version,
        "at": rfc3339(event.at_ms),
        "cause": event.cause,
        "from": event.from_champion,
        "to": event.to_champion,
        "evidence": msgspec.json.decode(event.evidence),
    }


def event_line(event: Mapping[str, Any]) -> str:
    """Return a switch as a line, from ``event_figures``."""
    evidence = event["evidence"]
    errors = "  ".join(f"{name} {ratio(error)}" for name, error in evidence["relative_errors"].items())
    restores = f"  restores {evidence['restores']}" if evidence["restores"] else ""
    change = f"{event['from']} -> {event['to']}"
    return (
        f"{event['at']:<24} {event['version']:<20} {event['cause']:<9} {change:<22} "
        f"vs btyd: {errors}  examples {evidence['example_count']}{restores}"
    )


def _why(card: ModelCard) -> str:
    switch = card.switch
    if switch is None:
        return ""
    errors = "  ".join(f"{name} {ratio(error)}" for name, error in switch.evidence.relative_errors.items())
    return f"({switch.cause}, since {switch.at}; vs btyd: {errors}; {switch.evidence.example_count} examples)"


def _importance_lines(card: ModelCard) -> Iterator[str]:
    """Yield what the scorer looks at: by how much the deviance rises when that is shuffled, the most first."""
    measured = card.importance
    if measured is None:
        return
    yield _line("importance", f"of {measured.version}, on {measured.example_count:,} examples: deviance when shuffled")
    for rises in (measured.groups, measured.features):
        ranked = sorted(rises.items(), key=lambda pair: (-pair[1], pair[0]))
        shown = [f"{name} {100 * rise:+.1f} %" for name, rise in ranked if abs(rise) >= _LEAST_RISE]
        yield _line("", "  ".join(shown) or "-")


def _figure(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _line(name: str, text: str) -> str:
    return f"{name:>18}  {text}"
