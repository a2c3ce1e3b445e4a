"""Pictures of the predictions by their size: calibration by tenth, and how much revenue the best ranked hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from backtest.report.look import (
    ACTUAL,
    INK,
    MUTED,
    SCORE,
    caption,
    draw,
    drawn_label,
    in_words,
    inks,
    label,
    legend_below,
    percent,
    short,
)
from backtest.report.picture import NORMAL_95, Picture, clustered_error, table
from models.evaluation import REFERENCE
from models.measures import decile_means, deciles, gain, normalised_gini

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from backtest.report.scored import Scored
    from clv.ports import Floats

_DECILES = np.arange(1, 11)
_GAIN_POINTS = 201
_LEAST = 10  # moments


def calibration_by_decile(scored: Scored, currency: str, horizon_days: int) -> Picture:
    """Draw mean prediction and mean value of each tenth by score, and their ratio."""
    slug, topic = "calibration", "Calibration"
    if len(scored.actual) < _LEAST or scored.actual.sum() <= 0.0:
        return Picture(slug=slug, topic=topic, absence="Tenths need ten scored moments and some revenue after them.")
    actual, predicted = decile_means(scored.actual, scored.predicted)
    group = deciles(scored.predicted)
    size = np.bincount(group, minlength=len(_DECILES))
    half = NORMAL_95 * clustered_error(scored.customer, scored.actual - actual[group], group, len(_DECILES)) / size
    finding = _calibration_finding(actual, predicted)

    def paint(figure: Figure) -> None:
        left, right = figure.subplots(1, 2, width_ratios=(3, 2))
        _paint_means(left, actual, predicted, half)
        caption(left, f"Mean per moment, {currency} over {horizon_days} days")
        _paint_ratios(right, actual, predicted, half)
        caption(right, "Predicted over realised (1 is unbiased)")
        for axes in (left, right):
            axes.set_xticks(_DECILES)
            axes.set_xlabel("Tenth by score (1 = highest)")
        handles, _ = left.get_legend_handles_labels()
        legend_below(figure, handles)

    rows = [
        [
            str(number),
            int(size[at]),
            predicted[at],
            actual[at],
            half[at],
            predicted[at] / actual[at] if actual[at] else None,
        ]
        for at, number in enumerate(_DECILES)
    ]
    columns = ["tenth", "moments", f"mean score, {currency}", f"mean realised, {currency}", f"± (95 %), {currency}"]
    return Picture(
        slug=slug,
        topic=topic,
        finding=finding,
        reading="Moments in order of their score, in tenths of equal number. Bars are 95 % intervals of the realised "
        "mean, customers being independent.",
        alt=f"Points of mean score and mean realised value for each tenth of the moments by score. {finding}.",
        table=table([*columns, "ratio"], rows),
        png=draw(paint, finding),
    )


def _paint_means(axes: Axes, actual: Floats, predicted: Floats, half: Floats) -> None:
    axes.vlines(_DECILES, actual, predicted, color=MUTED, linewidth=1.0)
    axes.errorbar(
        *(_DECILES, actual, half),
        color=ACTUAL.colour,
        fmt=ACTUAL.marker,
        markersize=5,
        elinewidth=1.2,
        label="realised",
    )
    axes.plot(
        _DECILES,
        predicted,
        linestyle="",
        color=SCORE.colour,
        marker=SCORE.marker,
        markersize=6,
        label="score",
    )
    known = np.r_[actual, predicted]
    if (known > 0.0).all() and known.max() > 20.0 * known.min():
        axes.set_yscale("log")
    in_words(axes.yaxis, short)


def _paint_ratios(axes: Axes, actual: Floats, predicted: Floats, half: Floats) -> None:
    known = np.flatnonzero((actual > 0.0) & (predicted > 0.0))
    ratio, share = predicted[known] / actual[known], half[known] / actual[known]
    axes.axhspan(0.9, 1.1, color=MUTED, alpha=0.10, linewidth=0)
    axes.axhline(1.0, color=MUTED, linewidth=1.0)
    axes.errorbar(
        *(_DECILES[known], ratio, ratio * share),
        color=SCORE.colour,
        fmt=SCORE.marker,
        markersize=5,
        elinewidth=1.2,
    )
    in_words(axes.yaxis, short)


def _calibration_finding(actual: Floats, predicted: Floats) -> str:
    known = actual > 0.0
    gap = predicted[known] / actual[known] - 1.0
    tenths = _DECILES[known]
    worst = int(np.argmax(np.abs(gap)))
    way = "above" if gap[worst] > 0 else "below"
    near = int((np.abs(gap) <= 0.1).sum())
    return (
        f"Scores are within 10 % of what came in {near} of {len(gap)} tenths; furthest off in "
        f"tenth {tenths[worst]}, {100 * abs(gap[worst]):.0f} % {way}"
    )


def cumulative_gain(scored: Scored) -> Picture:
    """Draw the share of all revenue that the best ranked moments hold, by each model's ranking."""
    slug, topic = "cumulative-gain", "Ranking"
    if scored.actual.sum() <= 0.0:
        return Picture(slug=slug, topic=topic, absence="Nothing was bought after any scored moment: nothing to rank.")
    at = np.linspace(0.0, 1.0, _GAIN_POINTS)
    complete = {name: values for name, values in scored.series.items() if not np.isnan(values).any()}
    curves = {name: _curve(at, scored.actual, values) for name, values in complete.items()}
    best = _curve(at, scored.actual, scored.actual)
    ginis = {name: normalised_gini(scored.actual, values) or 0.0 for name, values in complete.items()}
    style = inks(scored.series)
    tenth = float(np.interp(0.1, at, curves["predicted"]))
    finding = f"The tenth with the highest scores holds {percent(round(tenth, 3))} of the revenue"
    finding += f"; Gini {ginis['predicted']:.3f}"
    if REFERENCE in ginis:
        finding += f" against BTYD's {ginis[REFERENCE]:.3f}"

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        handles = axes.plot(at, best, color=INK, linewidth=1.0, linestyle=":", label="perfect ranking")
        for name, values in curves.items():
            ink = style[name]
            handles += axes.plot(
                *(at, values),
                color=ink.colour,
                linestyle=ink.dash,
                linewidth=ink.width,
                label=f"{drawn_label(name)} (Gini {ginis[name]:.3f})",
                zorder=3 if name == "predicted" else 2,
            )
        handles += axes.plot(at, at, color=MUTED, linewidth=1.0, label="chance")
        axes.set(xlim=(0.0, 1.0), ylim=(0.0, 1.02))
        axes.set_xlabel("Share of moments, highest score first")
        caption(axes, "Share of all revenue after scored moments")
        in_words(axes.xaxis, percent)
        in_words(axes.yaxis, percent)
        axes.legend(handles=handles, loc="lower right")

    steps = [1, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100]
    shown = {**curves, "perfect ranking": best}
    rows = [
        [f"{step} %", *(f"{100 * float(np.interp(step / 100, at, values)):.1f} %" for values in shown.values())]
        for step in steps
    ]
    return Picture(
        slug=slug,
        topic=topic,
        finding=finding,
        reading="How much of the revenue after all moments belongs to the best ranked of them. The Gini is normalised: "
        "1 ranks as the revenue itself would, 0 as chance does. Models that did not answer every moment are left out.",
        alt=f"Curves of the cumulative share of revenue by rank, one a model. {finding}.",
        table=table(["moments", *(label(name) for name in shown)], rows),
        png=draw(paint, finding, height_inches=4.4),
    )


def _curve(at: Floats, actual: Floats, by: Floats) -> Floats:
    shares = np.r_[0.0, gain(actual, by)]
    curve: Floats = np.interp(at, np.linspace(0.0, 1.0, len(shares)), shares)
    return curve
