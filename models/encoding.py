"""Names as numbers: what customers of a source, a campaign or a category brought, against what was expected of them.

A name's number is learnt from other customers than the row at hand (out of fold), so that no row sees its own label.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from clv.ports import Floats, Ints

FOLDS = 5
MIN_CUSTOMERS = 5
MAX_NAMES = 1_000
_PRIOR_ROWS = 200.0  # a name counts as much as the population once it has as many rows of mean weight
NO_EFFECT = 0.0

Table = dict[str, float]
"""Effect of each code (as text, for JSON): the log of the smoothed ratio, less that of the population."""


def fit(codes: Floats, ratio: Floats, weight: Floats, customer: Ints) -> tuple[Table, Floats]:
    """Learn what each code is worth.

    Parameters
    ----------
    codes
        (n,) as in the feature rows; 0 stands for none and has no effect.
    ratio, weight
        (n,) realised value over its unit, and the row's weight.
    customer
        (n,) the same number for the rows of one customer.

    Returns
    -------
    tuple
        The table to score with, learnt from all rows, and for each row (n,) the effect learnt without its fold.
    """
    names, row_name = np.unique(codes, return_inverse=True)
    fold = customer % FOLDS
    weight = weight / weight.mean()
    place = fold * len(names) + row_name
    value, mass = (_added_up(place, rows, len(names)) for rows in (weight * ratio, weight))
    without = _effects(_of_other_folds(value), _of_other_folds(mass))
    seen = np.unique(np.column_stack((row_name, customer)), axis=0)[:, 0]
    customers = np.bincount(seen, minlength=len(names))
    is_name = (names > 0) & (customers >= MIN_CUSTOMERS)
    effects = np.where(is_name, _effects(value.sum(axis=0)[None], mass.sum(axis=0)[None])[0], NO_EFFECT)
    kept = sorted(np.flatnonzero(is_name), key=lambda position: (-customers[position], position))[:MAX_NAMES]
    is_kept = np.zeros(len(names), dtype=np.bool_)
    is_kept[kept] = True
    table = {str(int(names[position])): float(effects[position]) for position in sorted(kept)}
    return table, np.where(is_kept[row_name], without[fold, row_name], NO_EFFECT)


def apply(table: Table, codes: Floats) -> Floats:
    """Return each code's effect, (n,); a code that was never learnt has none."""
    if not table:
        return np.zeros(len(codes))
    known = np.array([int(code) for code in table], dtype=np.float64)
    order = np.argsort(known)
    effects = np.array(list(table.values()))[order]
    place = np.minimum(np.searchsorted(known[order], codes), len(known) - 1)
    result: Floats = np.where(known[order][place] == codes, effects[place], NO_EFFECT)
    return result


def _added_up(place: Ints, rows: Floats, name_count: int) -> Floats:
    sums: Floats = np.bincount(place, rows, FOLDS * name_count).astype(np.float64)
    return sums.reshape(FOLDS, name_count)


def _of_other_folds(sums: Floats) -> Floats:
    # Added up without the fold: a difference of sums would keep a trace of its labels in the last bits.
    return np.stack([np.delete(sums, fold, axis=0).sum(axis=0) for fold in range(FOLDS)])


def _effects(value: Floats, mass: Floats) -> Floats:
    overall = value.sum(axis=1, keepdims=True) / np.maximum(mass.sum(axis=1, keepdims=True), 1e-12)
    overall = np.maximum(overall, 1e-6)
    smoothed = (value + _PRIOR_ROWS * overall) / (mass + _PRIOR_ROWS)
    result: Floats = np.log(np.maximum(smoothed, 1e-6)) - np.log(overall)
    return result
