"""Pictures of what BG/NBD makes of a history: expected orders and probability of being alive, by frequency and recency.

They are not part of the back-test: the model is fitted to the log's final histories.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from backtest.report.look import INK, PAPER, caption, draw, in_words, percent, short
from backtest.report.picture import Picture, table
from models import bgnbd

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from backtest.report.labels import NetDays
    from clv.ports import Floats

DAYS_PER_WEEK = 7.0
_ROWS = 13
_MOST_COLUMNS = 16
_IMPOSSIBLE = "#eceff2"


class Histories(NamedTuple):
    """Customers' final histories, (n,): repeat purchase days; weeks from the first to the last and to the log's end."""

    x: Floats
    t_x: Floats
    age: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Histories of customers of one age: ``x`` (columns,), weeks since the last purchase day ``silence`` (rows,).

    ``is_possible`` (rows, columns) says which can occur: x more purchase days need x more days, and none need none.
    """

    x: Floats
    silence: Floats
    age_weeks: float
    is_possible: NDArray[np.bool_]

    def fill(self, answer: Callable[[Floats, Floats, Floats], Floats]) -> Floats:
        """Ask for each history's value, (rows, columns); not a number where it cannot occur."""
        x, silence = np.meshgrid(self.x, self.silence)
        t_x = np.where(x > 0, self.age_weeks - silence, 0.0)
        values = answer(x.ravel(), np.maximum(t_x, 0.0).ravel(), np.full(x.size, self.age_weeks))
        return np.where(self.is_possible, values.reshape(x.shape), np.nan)


def final_histories(net: NetDays) -> Histories:
    """Return the history of each customer with a purchase day, as of the log's last day."""
    bought = net.purchases()
    customer, day = net.customer[bought], net.day[bought]
    firsts = np.flatnonzero(np.r_[True, np.diff(customer) != 0][: len(day)])
    lasts = np.r_[firsts[1:], len(day)] - 1
    x = (lasts - firsts).astype(np.float64)
    return Histories(x, (day[lasts] - day[firsts]) / DAYS_PER_WEEK, (net.last_day - day[firsts]) / DAYS_PER_WEEK)


def grid(histories: Histories) -> Grid:
    """Choose histories that show the log's customers: of median age, up to the 99.5th percentile of purchases."""
    age = max(float(np.median(histories.age)), 1.0)
    most = int(np.clip(np.quantile(histories.x, 0.995), 4, min(_MOST_COLUMNS - 1, age * DAYS_PER_WEEK)))
    x, silence = np.arange(most + 1, dtype=np.float64), np.linspace(0.0, age, _ROWS)
    columns, rows = np.meshgrid(x, silence)
    is_possible = np.where(columns > 0, (age - rows) * DAYS_PER_WEEK >= columns, rows == silence[-1])
    return Grid(x=x, silence=silence, age_weeks=age, is_possible=is_possible)


def expected_orders(params: bgnbd.BgNbdParams, histories: Histories, horizon_days: int) -> Picture:
    """Draw the expected purchase days over the horizon, by frequency and recency."""
    shown = grid(histories)
    weeks = horizon_days / DAYS_PER_WEEK
    values = shown.fill(lambda x, t_x, age: bgnbd.expected_orders(params, x, t_x, age, weeks))
    from_half = np.where(shown.is_possible[:, -1], np.abs(shown.silence - shown.age_weeks / 2.0), np.inf)
    half = int(np.argmin(from_half))
    finding = (
        f"With {shown.x[-1]:.0f} repeat purchase days, {_count(values[0, -1])} more are expected in {horizon_days} "
        f"days right after the last, {_count(values[half, -1])} after {shown.silence[half]:.0f} weeks of silence"
    )
    measure = _Measure(
        "expected-orders",
        "Expected orders by frequency and recency",
        f"Expected purchase days in {horizon_days} days",
        _count,
    )
    return _picture(measure, finding, shown, values)


def _count(value: float) -> str:
    if value < 0.005:
        return "0"
    return f"{value:.1f}" if value >= 0.095 else f"{value:.2f}"


def probability_alive(params: bgnbd.BgNbdParams, histories: Histories) -> Picture:
    """Draw the probability that a customer still buys, by frequency and recency."""
    shown = grid(histories)
    values = shown.fill(lambda x, t_x, age: bgnbd.probability_alive(params, x, t_x, age))
    repeats = histories.x > 0
    finding = "Nobody has bought twice: BG/NBD counts everybody as alive"
    if repeats.any():
        alive = bgnbd.probability_alive(params, *(column[repeats] for column in histories))
        finding = (
            f"{percent(round(float(alive.mean()), 2))} of repeat buyers are expected to be alive at the log's end; the "
            "more often somebody bought, the sooner silence means loss"
        )
    measure = _Measure(
        "probability-alive",
        "Probability of being alive",
        "Probability of being alive",
        lambda value: f"{100 * value:.0f}",
        is_share=True,
    )
    return _picture(measure, finding, shown, values)


class _Measure(NamedTuple):
    """What a matrix holds: its file's name, its topic and unit, and how to write a cell."""

    slug: str
    topic: str
    unit: str
    write: Callable[[float], str]
    is_share: bool = False


def _picture(measure: _Measure, finding: str, shown: Grid, values: Floats) -> Picture:
    unit, write, is_share = measure.unit, measure.write, measure.is_share

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        axes.set_facecolor(_IMPOSSIBLE)
        axes.grid(visible=False)
        most = 1.0 if is_share else float(np.nanmax(values))
        image = axes.imshow(values, cmap="cividis", aspect="auto", vmin=0.0, vmax=most)
        for row, column in zip(*np.nonzero(shown.is_possible), strict=True):
            value = float(values[row, column])
            ink = PAPER if value < 0.5 * most else INK
            axes.text(column, row, write(value), color=ink, fontsize=7.5, ha="center", va="center")
        axes.set_xticks(range(len(shown.x)), [f"{count:.0f}" for count in shown.x])
        axes.set_yticks(range(len(shown.silence)), [f"{silence:.0f}" for silence in shown.silence])
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.set_xlabel("Frequency: purchase days after the first")
        axes.set_ylabel("Weeks since the last purchase day")
        caption(axes, f"{unit}{', %' if is_share else ''}, customers {shown.age_weeks:.0f} weeks old")
        bar = figure.colorbar(image, ax=axes, pad=0.015, aspect=30)
        bar.outline.set_visible(False)
        in_words(bar.ax.yaxis, percent if is_share else short)

    rows = [[f"{silence:.0f}", *(float(value) for value in values[row])] for row, silence in enumerate(shown.silence)]
    return Picture(
        slug=measure.slug,
        topic=measure.topic,
        finding=finding,
        reading="From BG/NBD, fitted to all histories at the log's end, hindsight included: it illustrates the base "
        "model and judges nothing. Recency is drawn as weeks since the last purchase day, for customers of the median "
        "age; pale cells cannot occur.",
        alt=f"A matrix by purchase days after the first and weeks since the last one; darker is less. {finding}.",
        table=table(["weeks since the last", *(f"{count:.0f} repeats" for count in shown.x)], rows),
        png=draw(paint, finding, height_inches=4.6),
    )
