"""Picture of the models: which one answered when."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from backtest.report.look import MUTED, caption, draw, drawn_label, in_words, inks, label, percent
from backtest.report.picture import Picture, day_cell, table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from backtest.report.look import Ink
    from backtest.report.run_lines import RunLines
    from backtest.report.scored import Predictions

Span = tuple[int, int, str]
"""First day, day after the last, model."""


def champion_spans(given: Predictions, log: RunLines, last_day: int) -> list[Span]:
    """Return who answered when, as the predictions say; as the run log says where they don't."""
    known = np.flatnonzero(given.champion != "")
    if len(known):
        counted = pd.DataFrame({"day": given.day[known], "name": given.champion[known]}).value_counts().reset_index()
        ranked = counted.sort_values(["day", "count", "name"], ascending=[True, False, True]).drop_duplicates("day")
        starts = list(zip(ranked["day"].tolist(), ranked["name"].tolist(), strict=True))
    else:
        starts = list(log.champions.items())
    if not starts:
        return []
    changes = [pair for at, pair in enumerate(starts) if at == 0 or pair[1] != starts[at - 1][1]]
    ends = [day for day, _ in changes[1:]] + [max(last_day, changes[-1][0]) + 1]
    return [(day, end, str(name)) for (day, name), end in zip(changes, ends, strict=True)]


def champion_days(spans: list[Span]) -> dict[str, int]:
    """Return on how many days each model answered."""
    days: dict[str, int] = {}
    for begin, end, name in spans:
        days[name] = days.get(name, 0) + end - begin
    return days


def champion_timeline(spans: list[Span], log: RunLines) -> Picture:
    """Draw a band for each model over the days on which it answered, refits, and weights where the log has them."""
    slug, topic = "champion", "Champion"
    if not spans:
        return Picture(
            slug=slug,
            topic=topic,
            absence="Neither the predictions file nor a run log says which model answered: no champion to show.",
        )
    days = champion_days(spans)
    style = inks(days)
    total = sum(days.values())
    longest = max(days, key=lambda name: days[name])
    changes = len(spans) - 1
    finding = (
        f"Champion on {percent(round(days[longest] / total, 2))} of the days: {label(longest)}; "
        f"it changed {f'{changes} times' if changes != 1 else 'once'}"
    )

    def paint(figure: Figure) -> None:
        ratios = (len(days) + 1, 4) if log.weights else (1,)
        panels = figure.subplots(len(ratios), 1, sharex=True, squeeze=False, height_ratios=ratios)[:, 0]
        _paint_bands(panels[0], spans, list(days), style, log)
        for axes in panels[1:]:
            _paint_weights(axes, log, spans[-1][1])

    return Picture(
        slug=slug,
        topic=topic,
        finding=finding,
        reading="The model whose answer was given out, by day of the moment; the others only shadow."
        + (" Ticks on the lowest line are refits." if log.refit_days else "")
        + (" Below: each model's weight in the blend." if log.weights else ""),
        alt=f"A timeline with one band a model over the days on which it answered. {finding}.",
        table=table(
            ["from", "to", "days", "champion"],
            [[day_cell(begin), day_cell(end - 1), end - begin, label(name)] for begin, end, name in spans],
        ),
        png=draw(paint, finding, height_inches=1.7 + 0.34 * len(days) + (2.0 if log.weights else 0.0)),
    )


def _paint_bands(axes: Axes, spans: list[Span], names: list[str], style: dict[str, Ink], log: RunLines) -> None:
    for begin, end, name in spans:
        at = np.array([begin, end]).astype("datetime64[D]")
        axes.fill_between(at, names.index(name) - 0.36, names.index(name) + 0.36, color=style[name].colour, linewidth=0)
    lanes = [drawn_label(name) for name in names]
    if log.refit_days:
        at = np.array(log.refit_days).astype("datetime64[D]")
        axes.plot(at, np.full(len(at), len(names)), "|", color=MUTED, markersize=9)
        lanes.append("refits")
    axes.set_yticks(range(len(lanes)), lanes)
    axes.set_ylim(len(lanes) - 0.4, -0.6)
    axes.grid(visible=False)
    caption(axes, "Model whose answer was given out")


def _paint_weights(axes: Axes, log: RunLines, end: int) -> None:
    names = sorted({name for weights in log.weights.values() for name in weights})
    style = inks(names)
    at = np.array([*log.weights, max(end, *log.weights)]).astype("datetime64[D]")
    rows = [*log.weights.values(), list(log.weights.values())[-1]]
    shares = [[weights.get(name, 0.0) for weights in rows] for name in names]
    axes.stackplot(
        at, shares, colors=[style[name].colour for name in names], labels=[drawn_label(n) for n in names], step="post"
    )
    axes.set_ylim(0.0, 1.0)
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    caption(axes, "Weight in the blend")
    in_words(axes.yaxis, percent)
