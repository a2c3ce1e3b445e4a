"""The file of predictions: one row a moment, written as the days pass; the same predictions give the same bytes.

Columns: customer_id, as_of (the day, at whose end the prediction was made), kind (order or tick), predicted, lower,
upper, one column a candidate model (empty where it did not answer), champion, scorer_version. Money is in the
currency's major unit with six decimals.
"""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import numpy as np

from clv.features import FEATURE_NAMES
from clv.outcomes import rfc3339
from clv.rules import DAY_MS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backtest.moments import DueMoment
    from clv.ports import Floats, ScoreBatch, Scorer

LEADING = ("customer_id", "as_of", "kind", "predicted", "lower", "upper")
TRAILING = ("champion", "scorer_version")
_NO_CANDIDATES = frozenset(
    {"clv", "lower", "upper", "clv_year", "churn_probability", "next_order_ms", "version", "has_minimum_data"}
)


def candidates_of(scores: ScoreBatch) -> dict[str, Floats]:
    """Return what each candidate model says, by name; 0 where it does not answer.

    Every field of the batch that holds a float for each row counts, but for those known to be something else; custom
    models come last.
    """
    found = {name: getattr(scores, name) for name in scores.__struct_fields__ if name not in _NO_CANDIDATES}
    found |= dict(sorted(scores.custom.items()))
    return {
        name: values
        for name, values in found.items()
        if isinstance(values, np.ndarray) and values.dtype == np.float64 and values.ndim == 1
    }


class PredictionWriter:
    """Formats predictions as CSV.

    Parameters
    ----------
    scorer
        Any scorer of the run: its batches say which candidates there are.
    digits
        Decimals of the currency.
    custom
        Names of the custom models that may come to answer.
    """

    def __init__(self, scorer: Scorer, *, digits: int, custom: Sequence[str] = ()) -> None:
        empty = scorer.score(np.zeros((0, len(FEATURE_NAMES))), np.zeros(0, dtype=np.int64))
        self._names = tuple(dict.fromkeys((*candidates_of(empty), *sorted(custom))))
        self._minor = 10.0**digits

    @property
    def columns(self) -> tuple[str, ...]:
        """The file's columns, in order."""
        return (*LEADING, *self._names, *TRAILING)

    def header(self) -> bytes:
        """Return the first line."""
        return _lines([self.columns])

    def rows(self, moments: Sequence[DueMoment], day_number: int, scores: ScoreBatch) -> bytes:
        """Return the lines of one day's moments, in their order."""
        as_of = rfc3339(day_number * DAY_MS)[:10]
        money = [self._texts(values) for values in (scores.clv, scores.lower, scores.upper)]
        candidates, silent = candidates_of(scores), np.zeros(len(moments))
        money += [self._texts(candidates.get(name, silent), is_optional=True) for name in self._names]
        versions = [scores.versions[place] for place in scores.version.tolist()]
        named = [(version.champion, version.scorer) for version in versions]
        return _lines(
            (moment.customer_id, as_of, moment.kind, *texts, *models)
            for moment, models, *texts in zip(moments, named, *money, strict=True)
        )

    def _texts(self, minor: Floats, *, is_optional: bool = False) -> list[str]:
        return ["" if is_optional and value == 0.0 else f"{value:.6f}" for value in (minor / self._minor).tolist()]


def _lines(rows: object) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)  # type: ignore[arg-type]
    return text.getvalue().encode("utf-8", "surrogatepass")
