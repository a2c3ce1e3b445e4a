"""The picture of prequential error: each model's deviance by week, and how far it is from the reference's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from backtest.report.look import (
    caption,
    draw,
    in_words,
    inks,
    label,
    legend_below,
    line,
    percent,
    short,
    signed_percent,
)
from backtest.report.picture import Picture, day_cell, table, weeks
from models.evaluation import REFERENCE, tweedie_deviance

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from backtest.report.picture import Weeks
    from backtest.report.scored import Scored
    from clv.ports import Floats

_NEAR = 0.15  # models further from the reference than this would flatten the panel of differences


def deviance_over_time(scored: Scored, currency: str) -> Picture:
    """Draw each model's deviance by week of the moment, a four-week mean."""
    by_week = weeks(scored.day, scored.first_day)
    losses = {name: _losses(scored.actual, values) for name, values in scored.series.items()}
    rolling = {name: by_week.rolling_mean(values) for name, values in losses.items()}
    gaps = _gaps(losses, by_week)
    finding = _finding(losses, by_week)
    style = inks(rolling)

    def paint(figure: Figure) -> None:
        ratios = (3, 2) if gaps else (1,)
        panels = figure.subplots(len(ratios), 1, sharex=True, squeeze=False, height_ratios=ratios)[:, 0]
        lines = [line(panels[0], by_week.dates, values, name, style[name]) for name, values in rolling.items()]
        caption(panels[0], f"Mean Tweedie deviance, √{currency} (lower is better)")
        in_words(panels[0].yaxis, short)
        for axes in panels[1:]:
            axes.axhline(0.0, color=style[REFERENCE].colour, linestyle="--", linewidth=1.2)
            for name, values in gaps.items():
                line(axes, by_week.dates, values, name, style[name])
            caption(axes, "Difference from BTYD on the moments that both answered")
            in_words(axes.yaxis, signed_percent)
        legend_below(figure, lines)

    counts = by_week.counts()
    rows = [
        [day_cell(day), counts[week], *(values[week] for values in rolling.values())]
        for week, day in enumerate(by_week.first_days)
    ]
    return Picture(
        slug="deviance-over-time",
        topic="Error over time",
        finding=finding,
        reading="Each moment was predicted before its future was known. Lines are means over the week of the moment "
        "and the three before; deviance is Tweedie's of power 1.5, a proper score for the mean of values that are "
        f"mostly zero. Models further than {percent(_NEAR)} from BTYD are left out of the lower panel.",
        alt=f"Lines of the deviance by week, one a model. {finding}.",
        table=table(["week from", "moments", *(f"{label(name)}, √{currency}" for name in rolling)], rows),
        png=draw(paint, finding, height_inches=5.0 if gaps else 3.9),
    )


def _losses(actual: Floats, predicted: Floats) -> Floats:
    losses = np.full(len(actual), np.nan)
    answered = ~np.isnan(predicted)
    losses[answered] = tweedie_deviance(actual[answered], predicted[answered])
    return losses


def _paired(losses: dict[str, Floats], name: str) -> tuple[Floats, Floats]:
    """Return a model's and the reference's losses where both answered, elsewhere not a number."""
    is_alone = np.isnan(losses[name] + losses[REFERENCE])
    return np.where(is_alone, np.nan, losses[name]), np.where(is_alone, np.nan, losses[REFERENCE])


def _gaps(losses: dict[str, Floats], by_week: Weeks) -> dict[str, Floats]:
    gaps = {}
    for name in losses if REFERENCE in losses else ():
        ours, theirs = _paired(losses, name)
        total = float(np.nansum(theirs))
        if name != REFERENCE and total > 0.0 and abs(float(np.nansum(ours)) / total - 1.0) <= _NEAR:
            base = by_week.rolling_mean(theirs)
            gaps[name] = by_week.rolling_mean(ours) / np.where(base > 0.0, base, np.nan) - 1.0
    return gaps


def _finding(losses: dict[str, Floats], by_week: Weeks) -> str:
    if REFERENCE not in losses or np.isnan(losses["predicted"] + losses[REFERENCE]).all():
        return f"The score's deviance is {np.nanmean(losses['predicted']):.2f} over all moments"
    ours, theirs = _paired(losses, "predicted")
    weekly = by_week.rolling_mean(ours), by_week.rolling_mean(theirs)
    known = ~np.isnan(weekly[0])
    better = int((weekly[0][known] < weekly[1][known]).sum())
    score, reference = float(np.nanmean(ours)), float(np.nanmean(theirs))
    return (
        f"The score's deviance is {_compare(score, reference)} ({score:.2f} against {reference:.2f}) "
        f"and lower in {better} of {int(known.sum())} weeks"
    )


def _compare(score: float, reference: float) -> str:
    gap = score / reference - 1.0 if reference else 0.0
    if abs(gap) < 0.0005:
        return "the same as BTYD's"
    return f"{100 * abs(gap):.1f} % {'below' if gap < 0 else 'above'} BTYD's"
