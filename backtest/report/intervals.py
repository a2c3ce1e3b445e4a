"""The picture of intervals: how often they held what came, over time and by size of the score."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from backtest.report.look import MUTED, SCORE, caption, draw, in_words, percent
from backtest.report.measures import has_interval, is_inside
from backtest.report.picture import NORMAL_95, Picture, clustered_error, day_cell, table, weeks
from models.measures import deciles

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from backtest.report.scored import Scored
    from clv.ports import Floats

_LEAST = 10  # moments


def interval_coverage(scored: Scored, nominal: float) -> Picture:
    """Draw the share of intervals that held what came, by week and by tenth of the score."""
    slug, topic = "coverage", "Intervals"
    has = has_interval(scored)
    if has.sum() < _LEAST:
        return Picture(slug=slug, topic=topic, absence="The predictions file has no intervals (lower and upper).")
    inside = is_inside(scored)[has].astype(np.float64)
    by_week = weeks(scored.day[has], scored.first_day)
    over_time = by_week.rolling_mean(inside)
    group = deciles(scored.predicted[has])
    size = np.bincount(group, minlength=10)
    by_tenth = np.bincount(group, inside, 10) / size
    half = NORMAL_95 * clustered_error(scored.customer[has], inside - by_tenth[group], group, 10) / size
    width = np.bincount(group, (scored.upper - scored.lower)[has], 10) / size
    finding = (
        f"Intervals meant to hold {percent(nominal)} held {100 * inside.mean():.1f} %; "
        f"in the tenth with the highest scores, {100 * by_tenth[0]:.1f} %"
    )
    floor = max(0.0, min(float(np.nanmin(over_time)), float((by_tenth - half).min()), nominal) - 0.04)

    def paint(figure: Figure) -> None:
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
        left.plot(
            by_week.dates,
            over_time,
            color=SCORE.colour,
            linewidth=SCORE.width,
            marker="" if len(over_time) > 1 else "o",
        )
        caption(left, "By week of the moment, four-week mean")
        right.errorbar(
            *(np.arange(1, 11), by_tenth, half), color=SCORE.colour, fmt=SCORE.marker, markersize=5, elinewidth=1.2
        )
        right.set_xticks(range(1, 11))
        right.set_xlabel("Tenth by score (1 = highest)")
        caption(right, "By size of the score")
        for axes in (left, right):
            _paint_nominal(axes, nominal)
            axes.set_ylim(floor, 1.005)
            in_words(axes.yaxis, percent)

    rows: list[list[object]] = [
        [f"week from {day_cell(day)}", int(by_week.counts()[week]), _share(over_time[week]), None]
        for week, day in enumerate(by_week.first_days)
    ]
    rows += [[f"tenth {at + 1}", int(size[at]), _share(by_tenth[at]), width[at]] for at in range(10)]
    return Picture(
        slug=slug,
        topic=topic,
        finding=finding,
        reading="Share of moments whose realised value lay inside the score's interval; the dashed line is the "
        f"nominal {percent(nominal)}. Bars are 95 % intervals, customers being independent. Low scores are mostly "
        "followed by nothing, which an interval from 0 always holds: look at the high ones.",
        alt=f"A line of the intervals' coverage by week, and points by tenth of the score. {finding}.",
        table=table(["moments", "count", "held", "mean width"], rows),
        png=draw(paint, finding),
    )


def _paint_nominal(axes: Axes, nominal: float) -> None:
    axes.axhline(nominal, color=MUTED, linewidth=1.2, linestyle="--")
    axes.annotate(
        f"nominal {percent(nominal)}",
        *((0.01, nominal),),
        xycoords=("axes fraction", "data"),
        xytext=(0, -3),
        textcoords="offset points",
        color=MUTED,
        fontsize=8,
        verticalalignment="top",
    )


def _share(value: Floats) -> str:
    return "–" if np.isnan(value) else f"{100 * float(value):.1f} %"
