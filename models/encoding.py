"""Names as numbers: what customers of a source, a campaign or a category bring, against what was expected of them.

An effect counts as far as the names of its kind differ by more than chance (empirical Bayes). Effects learnt out of
fold and weighted by the regression itself were tried: with effects that are small or absent its weight on them became
a large number of either sign, and cost a small shop 2 % of deviance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from clv.ports import Floats, Ints
    from models.residual import Fitted

MIN_CUSTOMERS = 5
MAX_NAMES = 1_000
MAX_STEP = 1.0
NO_EFFECT = 0.0
_TINY = 1e-12
_DOUBT = 1.5
"""Names differ once they do so by this many times what chance makes: 1 would be unbiased, and more often wrong."""

Table = dict[str, float]
"""Effect of each code (as text, for JSON): the log of the factor on what is expected of a new customer."""


class _Sums(NamedTuple):
    """Evidence by name, (k,) each; ``variance`` is of ``slope / information``, the step that it asks for."""

    slope: Floats
    information: Floats
    variance: Floats


def fit(codes: Floats, newness: Floats, fitted: Fitted, known: Table) -> Table:
    """Learn what each code is worth beyond what was expected: one round, to be repeated.

    Parameters
    ----------
    codes
        (n,) as in the feature rows; 0 stands for none and has no effect.
    newness
        (n,) in 0-1: how much of an effect counts in a row.
    fitted
        The rows, with all that is expected without these codes.
    known
        What was learnt of them in the round before, to go on from.

    Notes
    -----
    Effects are normal round what names have in common, with the variance that DerSimonian and Laird's moments leave
    them; a round is a step of Newton's towards the likeliest.

    References
    ----------
    DerSimonian & Laird 1986, "Meta-analysis in clinical trials".
    """
    values, row_name = np.unique(codes, return_inverse=True)
    kept = _kept(values, row_name, fitted.customer)
    # One name among customers without any says what ``has_acquisition`` says.
    if len(kept) < 2:  # names that could differ
        return {}
    learnt = np.flatnonzero(np.isin(np.arange(len(values)), kept)[row_name])
    effects = _round(
        apply(known, values[kept]), np.searchsorted(kept, row_name[learnt]), newness[learnt], fitted.of(learnt)
    )
    return {str(int(value)): float(effect) for value, effect in zip(values[kept], effects, strict=True)}


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


def _kept(values: Floats, row_name: Ints, customer: Ints) -> Ints:
    """Return the places of the names to learn, ascending: of those with enough customers, the ones with the most."""
    if (values > 0).sum() < 2:  # names that could differ
        return np.zeros(0, dtype=np.int64)
    many = int(customer.max()) + 1
    customers = np.bincount(np.unique(row_name * many + customer) // many, minlength=len(values))
    places = np.flatnonzero((values > 0) & (customers >= MIN_CUSTOMERS))
    return np.sort(places[np.argsort(-customers[places], kind="stable")][:MAX_NAMES])


def _round(current: Floats, place: Ints, newness: Floats, rows: Fitted) -> Floats:
    """Return the names' effects, (k,), after one more step from the current ones."""
    slope, information = rows.evidence(newness)
    common = np.clip(slope.sum() / max(float(information.sum()), _TINY), -MAX_STEP, MAX_STEP)
    rows = rows.times(common * newness)
    at_first = _sums(place, len(current), rows, newness)
    true_variance = _true_variance(at_first)
    if true_variance <= 0.0:
        return np.full(len(current), NO_EFFECT)
    doubt = at_first.information * at_first.variance / true_variance
    now = _sums(place, len(current), rows.times(current[place] * newness), newness)
    step = (now.slope - doubt * current) / (now.information + doubt)
    result: Floats = current + np.clip(step, -MAX_STEP, MAX_STEP)
    return result


def _sums(place: Ints, count: int, rows: Fitted, newness: Floats) -> _Sums:
    slope, information = rows.evidence(newness)
    known = np.maximum(np.bincount(place, information, count), _TINY)
    asked = np.bincount(place, slope, count).astype(np.float64)
    pairs, pair = np.unique(place * (int(rows.customer.max()) + 1) + rows.customer, return_inverse=True)
    left = np.bincount(pair, slope - (asked / known)[place] * information) ** 2
    own = np.bincount(pairs // (int(rows.customer.max()) + 1), left, count)
    # A few customers of a name may be alike by chance: none is known better than all of them together suggest.
    spread = np.bincount(place, (rows.weight * newness) ** 2 * np.sqrt(rows.expected), count)
    pooled = left.sum() / max(float(spread.sum()), _TINY) * spread
    return _Sums(asked, known, np.maximum(own, pooled) / known**2)


def _true_variance(found: _Sums) -> float:
    """Return by how much names differ beyond chance; nothing, or less, where chance explains it all."""
    raw, known, variance = found.slope / found.information, found.information, found.variance
    total = known.sum()
    by_chance = (known * variance).sum() - (known**2 * variance).sum() / total
    differ = (known * (raw - (known * raw).sum() / total) ** 2).sum() - _DOUBT * by_chance
    return float(differ / max(float(total - (known**2).sum() / total), _TINY))
