"""Pictures of totals: what was predicted against what came, by week and by customers' number of purchase days."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from backtest.report.look import (
    ACTUAL,
    MUTED,
    caption,
    draw,
    drawn_label,
    in_words,
    inks,
    label,
    legend_below,
    line,
    short,
)
from backtest.report.picture import NORMAL_95, Picture, clustered_error, day_cell, table, weeks
from models.evaluation import REFERENCE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from backtest.report.scored import Scored
    from clv.ports import Floats, Ints

_FROM_COUNTS = (1, 2, 3, 4, 6, 10, 20)
_BUCKETS = ("1", "2", "3", "4–5", "6–9", "10–19", "20+")


def totals_over_time(scored: Scored, currency: str, horizon_days: int) -> Picture:
    """Draw totals by week of the moment: realised, score and the reference where it answered everywhere."""
    by_week = weeks(scored.day, scored.first_day)
    shown = _complete(scored)
    actual = by_week.totals(scored.actual)
    totals = {name: by_week.totals(values) for name, values in shown.items()}
    style = inks(shown)
    finding = _totals_finding(float(scored.predicted.sum()), float(scored.actual.sum()))

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        full = by_week.full(scored.last_day)
        dates = by_week.dates[:full]
        lines = [line(axes, dates, actual[:full], "realised", ACTUAL)]
        lines += [line(axes, dates, values[:full], name, style[name]) for name, values in totals.items()]
        axes.fill_between(dates, 0.0, actual[:full], color=ACTUAL.colour, alpha=0.07, linewidth=0)
        axes.set_ylim(bottom=0.0)
        caption(axes, f"Sum over the moments of a week, {currency}")
        in_words(axes.yaxis, short)
        legend_below(figure, lines)

    columns = ["week from", "moments", *(f"{label(name)}, {currency}" for name in ("realised", *totals))]
    counts = by_week.counts()
    rows = [
        [day_cell(day), counts[week], actual[week], *(values[week] for values in totals.values())]
        for week, day in enumerate(by_week.first_days)
    ]
    return Picture(
        slug="totals-over-time",
        topic="Predicted and realised totals",
        finding=finding,
        reading=f"For the moments of each week: the sum of what was predicted for the {horizon_days} days after them, "
        "and of what these brought. Horizons overlap, so the sums are not revenue of any period; weeks with more "
        "orders have more moments. A short week at the end is not drawn.",
        alt=f"Lines of weekly totals, predicted and realised. {finding}.",
        table=table(columns, rows),
        png=draw(paint, finding),
    )


def ratio_by_order_count(scored: Scored) -> Picture:
    """Draw predicted over realised totals by number of purchase days so far, with intervals over customers."""
    bucket = np.searchsorted(np.array(_FROM_COUNTS), scored.order_count, side="right") - 1
    found = [number for number in range(len(_BUCKETS)) if scored.actual[bucket == number].sum() > 0.0]
    if not found:
        return Picture(
            slug="ratio-by-order-count",
            topic="Bias by number of purchase days",
            absence="No customer bought anything after a scored moment: there is no ratio to draw.",
        )
    ratios = {name: _ratios(scored, values, bucket) for name, values in _complete(scored).items()}
    style = inks(ratios)
    ours = ratios["predicted"][0][found]
    near = int((np.abs(ours - 1.0) <= 0.1).sum())
    worst = found[int(np.argmax(np.abs(np.log(np.maximum(ours, 1e-9)))))]
    finding = (
        f"Score totals are within 10 % of what came in {near} of {len(found)} groups; furthest off after "
        f"{_BUCKETS[worst]} purchase day{'' if worst == 0 else 's'}, {_off(ratios['predicted'][0][worst])}"
    )

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        axes.axhline(1.0, color=MUTED, linewidth=1.0)
        axes.axhspan(0.9, 1.1, color=MUTED, alpha=0.10, linewidth=0)
        handles = []
        for position, (name, (ratio, half)) in enumerate(ratios.items()):
            at = np.arange(len(found)) + 0.16 * (position - (len(ratios) - 1) / 2)
            ink = style[name]
            handles.append(
                axes.errorbar(
                    *(at, ratio[found], half[found]),
                    color=ink.colour,
                    fmt=ink.marker,
                    markersize=6,
                    elinewidth=1.4,
                    label=drawn_label(name),
                )
            )
        axes.set_xticks(range(len(found)), [_BUCKETS[number] for number in found])
        axes.set_xlabel("Purchase days so far, the moment's own included")
        low, high = axes.get_ylim()
        axes.set_ylim(max(min(low, 0.75), 0.0), max(high, 1.25))
        in_words(axes.yaxis, short)
        caption(axes, "Predicted over realised total (1 is unbiased; band: ±10 %)")
        figure.legend(handles=handles, loc="outside lower left", ncols=len(handles))

    rows = [
        [
            _BUCKETS[number],
            int((bucket == number).sum()),
            scored.actual[bucket == number].mean(),
            *(value for ratio, half in ratios.values() for value in (ratio[number], half[number])),
        ]
        for number in found
    ]
    columns = [column for name in ratios for column in (f"{label(name)}, ratio", f"{label(name)}, ±")]
    return Picture(
        slug="ratio-by-order-count",
        topic="Bias by number of purchase days",
        finding=finding,
        reading="Total predicted over total realised, for moments by how many purchase days the customer had had. "
        "Bars are 95 % intervals, customers being independent.",
        alt=f"Points of the ratio of predicted to realised totals, one group of purchase days each. {finding}.",
        table=table(["purchase days", "moments", "mean realised", *columns], rows),
        png=draw(paint, finding),
    )


def _complete(scored: Scored) -> dict[str, Floats]:
    """Return the score and, where it answered every moment, the reference: totals compare on the same moments only."""
    reference = scored.candidates.get(REFERENCE)
    if reference is None or np.isnan(reference).any():
        return {"predicted": scored.predicted}
    return {"predicted": scored.predicted, REFERENCE: reference}


def _ratios(scored: Scored, predicted: Floats, bucket: Ints) -> tuple[Floats, Floats]:
    """Return ratio and half the width of its 95 % interval by bucket (linearised, clustered by customer)."""
    count = len(_BUCKETS)
    actual = np.bincount(bucket, scored.actual, count)
    known = np.where(actual > 0.0, actual, np.nan)
    ratio = np.bincount(bucket, predicted, count) / known
    residual = predicted - np.nan_to_num(ratio)[bucket] * scored.actual
    return ratio, NORMAL_95 * clustered_error(scored.customer, residual, bucket, count) / known


def _off(ratio: float) -> str:
    return f"{100 * abs(ratio - 1.0):.0f} % {'above' if ratio > 1.0 else 'below'}"


def _totals_finding(predicted: float, actual: float) -> str:
    if actual <= 0.0:
        return "Nothing was bought after any scored moment"
    gap = predicted / actual - 1.0
    if abs(gap) < 0.005:
        return "Scores add up to what came, within half a per cent"
    return f"Scores add up to {100 * abs(gap):.0f} % {'more' if gap > 0 else 'less'} than what came"
