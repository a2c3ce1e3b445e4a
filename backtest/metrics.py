"""What came true of the predictions: labels from the log, error of every candidate, coverage of the intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from backtest.predictions import LEADING, TRAILING
from backtest.runlog import Figures
from clv.events import OrderPlaced, OrderRefunded
from clv.rules import DAY_MS
from models.evaluation import tweedie_deviance

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from clv.events import CustomerEvent
    from clv.ports import Floats, Ints

WARM_UP_DAYS = 15
"""Scored moments begin a horizon and so many days after the log's first day."""
_CHUNK_ROWS = 200_000
_DAYS = 1 << 17  # more than from 1970 to 2200


class Evaluation(NamedTuple):
    """Error by candidate and kind of moment (all, order, tick); ``coverage`` is None where nothing was scored."""

    first_day: int
    last_day: int
    scored: dict[str, dict[str, Figures]]
    coverage: float | None


class NetRevenue:
    """A log's net revenue by customer and day, to sum over any window.

    Notes
    -----
    Memory and time grow with the log: 16 bytes an event; a label is found by bisection.
    """

    def __init__(self, events: Iterable[CustomerEvent]) -> None:
        self._codes: dict[str, int] = {}
        places: list[int] = []
        amounts: list[int] = []
        for event in events:
            if isinstance(event, OrderPlaced):
                amounts.append(event.total_minor)
            elif isinstance(event, OrderRefunded):
                amounts.append(-event.amount_minor)
            else:
                continue
            code = self._codes.setdefault(event.customer_id, len(self._codes))
            places.append(code * _DAYS + event.occurred_ms // DAY_MS)
        order = np.argsort(np.array(places, dtype=np.int64), kind="stable")
        self._places = np.array(places, dtype=np.int64)[order]
        self._total = np.concatenate(([0], np.cumsum(np.array(amounts, dtype=np.float64)[order])))

    def after(self, customers: Iterable[str], days: Ints, horizon_days: int) -> Floats:
        """Return each customer's net revenue in (day, day + horizon], not below zero, (n,), in minor units."""
        codes = np.array([self._codes[customer] for customer in customers], dtype=np.int64)
        base = codes * _DAYS + days
        low = np.searchsorted(self._places, base, side="right")
        high = np.searchsorted(self._places, base + horizon_days, side="right")
        net: Floats = np.maximum(self._total[high] - self._total[low], 0.0)
        return net


def evaluate(
    predictions: Path, net: NetRevenue, *, first_day: int, last_day: int, horizon_days: int, digits: int
) -> Evaluation:
    """Score a file of predictions over the moments whose outcome the log holds and whose models had something to learn.

    Parameters
    ----------
    first_day, last_day
        Of the log, numbers since 1970-01-01. Scored are moments from ``first_day`` + horizon + 15 to ``last_day`` -
        horizon.
    digits
        Decimals of the currency.
    """
    start, end = first_day + horizon_days + WARM_UP_DAYS, last_day - horizon_days
    parts: list[pd.DataFrame] = []
    for chunk in _chunks(predictions):
        day = _day_numbers(chunk["as_of"])
        is_scored = (day >= start) & (day <= end)
        kept = chunk[is_scored]
        actual = net.after(kept["customer_id"], day[is_scored], horizon_days) / 10.0**digits
        parts.append(kept.drop(columns=["customer_id", "as_of", *TRAILING]).assign(actual=actual))
    table = pd.concat(parts)
    if table.empty:
        return Evaluation(start, end, {}, None)
    actual = table["actual"].to_numpy()
    kind = table["kind"].to_numpy()
    scored = {
        name: _by_kind(actual, table[name].to_numpy(dtype=np.float64), kind)
        for name in ("predicted", *(name for name in table.columns if name not in {*LEADING, "actual"}))
    }
    inside = (actual >= table["lower"].to_numpy()) & (actual <= table["upper"].to_numpy())
    return Evaluation(start, end, {name: found for name, found in scored.items() if found}, float(inside.mean()))


def figures(actual: Floats, predicted: Floats) -> Figures:
    """Return a model's error over n ≥ 1 predictions, (n,) each, in major units."""
    total = float(actual.sum())
    return Figures(
        count=len(actual),
        deviance=float(tweedie_deviance(actual, predicted).mean()),
        mae=float(np.abs(actual - predicted).mean()),
        ratio=float(predicted.sum()) / total if total else 0.0,
    )


def _by_kind(
    actual: Floats, predicted: Floats, kind: np.ndarray[tuple[int], np.dtype[np.object_]]
) -> dict[str, Figures]:
    """Leave out what the model did not answer."""
    has_answer = ~np.isnan(predicted)
    parts = {"all": has_answer, "order": has_answer & (kind == "order"), "tick": has_answer & (kind == "tick")}
    return {name: figures(actual[part], predicted[part]) for name, part in parts.items() if part.any()}


def _chunks(predictions: Path) -> Iterable[pd.DataFrame]:
    texts = ("customer_id", "as_of", "kind", *TRAILING)
    header = pd.read_csv(predictions, nrows=0)
    numbers = [name for name in header.columns if name not in texts]
    yield from pd.read_csv(
        predictions,
        chunksize=_CHUNK_ROWS,
        dtype={**dict.fromkeys(texts, object), **dict.fromkeys(numbers, np.float64)},
        keep_default_na=False,
        na_values={name: [""] for name in numbers},
    )


def _day_numbers(as_of: pd.Series[str]) -> Ints:
    return np.asarray(as_of.to_numpy(dtype="datetime64[D]"), dtype=np.int64)
