"""What a picture consists of besides its pixels: the finding, words for those who cannot see it, and its numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from backtest.report.scored import iso_day

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from clv.ports import Floats, Ints

WEEK_DAYS = 7
ROLLING_WEEKS = 4
NORMAL_95 = 1.959964


@dataclass(frozen=True, slots=True)
class Table:
    """Numbers as text: a header, and rows whose first cell names them."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture of the report.

    Parameters
    ----------
    slug
        Its file's name without suffix.
    topic
        What it is about, in a few words.
    finding
        What it shows, in a sentence with numbers: its title.
    reading
        How to read it, with units.
    alt
        What is to be seen, for those who cannot.
    png
        Empty where there is nothing to draw; ``absence`` then says why.
    """

    slug: str
    topic: str
    finding: str = ""
    reading: str = ""
    alt: str = ""
    table: Table = Table((), ())
    png: bytes = b""
    absence: str = ""


@dataclass(frozen=True, slots=True)
class Weeks:
    """Moments by week: ``index`` of each moment's week (n,), and each week's first day (w,)."""

    index: Ints
    first_days: Ints

    def totals(self, values: Floats) -> Floats:
        """Sum values by week, (w,)."""
        totals: Floats = np.bincount(self.index, values, len(self.first_days)).astype(np.float64)
        return totals

    def counts(self) -> Ints:
        """Count moments by week, (w,)."""
        return np.bincount(self.index, minlength=len(self.first_days)).astype(np.int64)

    def rolling_mean(self, values: Floats) -> Floats:
        """Return means over each week and the three before, (w,); what is not a number counts for nothing."""
        is_known = ~np.isnan(values)
        total = _rolling(self.totals(np.where(is_known, values, 0.0)))
        count = _rolling(self.totals(is_known.astype(np.float64)))
        return np.where(count > 0, total / np.maximum(count, 1.0), np.nan)

    def full(self, last_day: int) -> int:
        """Return how many weeks, from the first, are over by ``last_day``; at least one."""
        return max(int((self.first_days + WEEK_DAYS - 1 <= last_day).sum()), 1)

    @property
    def dates(self) -> NDArray[np.datetime64]:
        """Each week's first day, as a date."""
        return self.first_days.astype("datetime64[D]")


def weeks(day: Ints, first_day: int) -> Weeks:
    """Divide days into weeks from ``first_day``; the last may be short."""
    index = (day - first_day) // WEEK_DAYS
    return Weeks(index, first_day + WEEK_DAYS * np.arange(int(index.max()) + 1, dtype=np.int64))


def _rolling(weekly: Floats) -> Floats:
    total = np.r_[np.zeros(ROLLING_WEEKS), np.cumsum(weekly)]
    rolling: Floats = total[ROLLING_WEEKS:] - total[:-ROLLING_WEEKS]
    return rolling


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """Write numbers as text: whole ones with commas, others with four significant digits, unknown ones as a dash.

    Examples
    --------
    >>> table(["model", "n", "deviance"], [["btyd", 12_345, 13.12678], ["new", 0, None]]).rows
    (('btyd', '12,345', '13.13'), ('new', '0', '–'))
    """
    return Table(tuple(columns), tuple(tuple(text(cell) for cell in row) for row in rows))


def text(value: object) -> str:
    """Write one cell.

    Examples
    --------
    >>> text(1234.5678), text(0.00123456), text(-2.5), text(float("nan")), text("x")
    ('1,235', '0.001235', '−2.5', '–', 'x')
    """
    if value is None or (isinstance(value, float | np.floating) and not np.isfinite(value)):
        return "–"
    if isinstance(value, int | np.integer):
        return f"{int(value):,}".replace("-", "−")
    if isinstance(value, float | np.floating):
        shown = f"{value:,.0f}" if abs(float(value)) >= 1000 else f"{value:.4g}"
        return shown.replace("-", "−")
    return str(value)


def fixed(value: float | None, decimals: int) -> str:
    """Write a number of a column whose decimals line up.

    Examples
    --------
    >>> fixed(13.0, 2), fixed(-0.5, 3), fixed(None, 2)
    ('13.00', '−0.500', '–')
    """
    return "–" if value is None or not np.isfinite(value) else f"{value:,.{decimals}f}".replace("-", "−")


def day_cell(day: int | np.integer) -> str:
    """Write a day in a table."""
    return iso_day(int(day))


def clustered_error(customer: Ints, residual: Floats, groups: Ints, count: int) -> Floats:
    """Return the standard error of each group's sum of residuals, (count,), customers being independent.

    A customer's moments share their future: only sums over a customer vary independently.
    """
    keys, codes = np.unique(groups * (int(customer.max()) + 1) + customer, return_inverse=True)
    sums = np.bincount(codes, residual)
    return np.sqrt(np.bincount(keys // (int(customer.max()) + 1), sums**2, count))
