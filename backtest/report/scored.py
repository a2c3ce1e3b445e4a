"""Predictions files: read in columns, checked, and put beside what came of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from backtest.report.labels import due_moments, purchase_counts, realised, scored_span
from clv.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from backtest.report.labels import NetDays
    from clv.ports import Floats, Ints

REQUIRED = ("customer_id", "as_of", "predicted")
_FIXED = (*REQUIRED, "kind", "lower", "upper", "champion", "scorer_version")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictions:
    """A predictions file's rows, arrays of shape (n,) in the file's order; money in major units.

    Parameters
    ----------
    day
        UTC days since 1970-01-01.
    candidates
        By model; not a number where it did not answer.
    lower, upper
        Not a number where there is no interval.
    champion
        Which model answered; empty where the file does not say.
    versions
        Scorer versions in the file, each once, as they first appear.
    """

    customer_id: NDArray[np.object_]
    day: Ints
    predicted: Floats
    candidates: dict[str, Floats]
    lower: Floats
    upper: Floats
    champion: NDArray[np.object_]
    versions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """Scored moments with what came of them, arrays of shape (n,) in the predictions file's order; major units.

    ``due_count`` says how many moments should have been predicted, the missing included; ``first_day`` and
    ``last_day`` bound them. ``order_count`` holds purchase days so far.
    """

    customer: Ints
    day: Ints
    is_order: NDArray[np.bool_]
    order_count: Ints
    actual: Floats
    predicted: Floats
    candidates: dict[str, Floats]
    lower: Floats
    upper: Floats
    champion: NDArray[np.object_]
    due_count: int
    first_day: int
    last_day: int
    versions: tuple[str, ...] = ()

    @property
    def series(self) -> dict[str, Floats]:
        """What was given out, as ``predicted``, then each candidate."""
        return {"predicted": self.predicted, **self.candidates}


def read_predictions(path: Path) -> Predictions:
    """Read a predictions file (CSV, plain or gzip).

    Candidates are the columns that have no meaning of their own and stand before ``champion``.

    Raises
    ------
    InputError
        When it is no such file, or a prediction is missing, negative or not finite.
    """
    try:
        header = list(pd.read_csv(path, nrows=0).columns)
        candidates = _candidates(header)
        text = [name for name in ("customer_id", "as_of", "champion", "scorer_version") if name in header]
        numbers = [name for name in ("predicted", "lower", "upper", *candidates) if name in header]
        if missing := [name for name in REQUIRED if name not in header]:
            raise InputError(f"{path} has no column {missing[0]}", "give the predictions file of a back-test")
        table = pd.read_csv(
            path,
            usecols=[*text, *numbers],
            dtype=dict.fromkeys(text, "str") | dict.fromkeys(numbers, "float64"),
            keep_default_na=False,  # a customer may be called NA
            na_values={name: ["", "nan", "NaN"] for name in numbers},
        )
    except (OSError, EOFError, ValueError) as problem:
        raise InputError(f"{path} cannot be read as predictions: {problem}", "is it a CSV file?") from problem
    values = {name: _numbers(table, name, path) for name in numbers}
    if np.isnan(values["predicted"]).any():
        raise InputError(f"{path} has a row without a prediction", "predicted must not be empty")
    nothing = np.full(len(table), np.nan)
    return Predictions(
        customer_id=table["customer_id"].to_numpy(dtype=object),
        day=_days(table["as_of"], path),
        predicted=values["predicted"],
        candidates={name: values[name] for name in candidates if not np.isnan(values[name]).all()},
        lower=values.get("lower", nothing),
        upper=values.get("upper", nothing),
        champion=_text(table, "champion"),
        versions=tuple(str(version) for version in pd.unique(_text(table, "scorer_version")) if version),
    )


def score_moments(net: NetDays, given: Predictions, horizon_days: int) -> Scored:
    """Keep what lies at a scored moment, the last row of each, and add kind, label and number of purchase days.

    Raises
    ------
    InputError
        When nothing is left: the log is too short, or the file is another log's.
    """
    first, last = scored_span(net, horizon_days)
    due = due_moments(net, horizon_days)
    customer = np.asarray(pd.Index(net.names).get_indexer(pd.Index(given.customer_id)), dtype=np.int64)
    is_candidate = (customer >= 0) & (given.day >= first) & (given.day <= last)
    rows = np.flatnonzero(is_candidate)
    keys, due_keys = net.keys(customer[rows], given.day[rows]), net.keys(due.customer, due.day)
    is_kept = ~pd.Series(keys).duplicated(keep="last").to_numpy() & np.isin(keys, due_keys)
    rows, keys = rows[is_kept], keys[is_kept]
    if not len(rows):
        raise InputError(
            f"no prediction lies at a moment that can be scored (the end of a purchase day in {first_to_last(net)})",
            f"the log must span more than {2 * horizon_days} days, and customer_id and as_of must be its own",
        )
    customer, day = customer[rows], given.day[rows]
    return Scored(
        customer=customer,
        day=day,
        is_order=due.is_order[np.searchsorted(due_keys, keys)],
        order_count=purchase_counts(net, customer, day),
        actual=realised(net, customer, day, horizon_days),
        predicted=given.predicted[rows],
        candidates={name: values[rows] for name, values in given.candidates.items()},
        lower=given.lower[rows],
        upper=given.upper[rows],
        champion=given.champion[rows],
        due_count=len(due.day),
        first_day=first,
        last_day=last,
        versions=given.versions,
    )


def first_to_last(net: NetDays) -> str:
    """Say which days a log spans."""
    return f"{iso_day(net.first_day)} to {iso_day(net.last_day)}"


def iso_day(day: int) -> str:
    """Write a UTC day as a date.

    Examples
    --------
    >>> iso_day(10_000)
    '1997-05-19'
    """
    return str(np.datetime64(day, "D"))


def _candidates(header: list[str]) -> list[str]:
    end = header.index("champion") if "champion" in header else len(header)
    return [name for name in header[:end] if name not in _FIXED]


def _numbers(table: pd.DataFrame, name: str, path: Path) -> Floats:
    values: Floats = table[name].to_numpy(dtype=np.float64)
    if np.isinf(values).any() or (values < 0.0).any():
        raise InputError(f"{path} has a value in {name} that is negative or not finite", "predict something else")
    return values


def _days(as_of: pd.Series[str], path: Path) -> Ints:
    codes, found = pd.factorize(as_of)
    texts = [str(value) for value in found]
    if bad := [value for value in texts if not _DAY.fullmatch(value)]:
        raise InputError(f"{path} has an as_of that is not a date: {bad[0]!r}", "as_of is YYYY-MM-DD")
    try:
        days = np.array(texts, dtype="datetime64[D]").astype(np.int64)
    except ValueError as problem:
        raise InputError(f"{path} has an as_of that is not a date: {problem}", "as_of is YYYY-MM-DD") from problem
    result: Ints = days[codes]
    return result


def _text(table: pd.DataFrame, name: str) -> NDArray[np.object_]:
    if name not in table:
        return np.full(len(table), "", dtype=object)
    return table[name].to_numpy(dtype=object)
