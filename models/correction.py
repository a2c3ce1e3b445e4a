"""What event histories teach about customers without one: a factor on the BTYD expectation, and its intervals.

A log-linear Poisson model with the log of the expectation as its offset, learned on matured examples from those
features alone that a summary has too; without effects it says what BTYD says. It is judged out of fold, by customer,
and used only where it lowers the deviance by more than chance would.
"""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clv.ports import Floats, Ints

FOLDS = 5
MIN_EXAMPLES = 500
COVERAGE = 0.9
_RIDGE = 0.1
_SMOOTHING_EXAMPLES = 100.0  # a source or campaign with as many examples counts half
_MOST_Z = 3.0
_MOST_FACTOR = 4.0
_INTERVAL_BINS = 5
_HIGHEST_VALUE = 0.999  # quantile: one windfall must not lead the learning
_NEWTON_STEPS = 50
_JITTER = 1e-9
_MIN_STANDARD_ERRORS = 2.0


class Inputs(NamedTuple):
    """What the correction sees of n customers.

    ``numbers`` maps names to (n,), NaN where unknown; ``texts`` maps names to n texts, empty where unknown. The factor
    multiplies ``expected_minor``, (n,), above 0.
    """

    numbers: dict[str, Floats]
    texts: dict[str, Sequence[str]]
    expected_minor: Floats


class Correction(msgspec.Struct, frozen=True):
    """A log-linear factor: per name, (mean, standard deviation, weight); per text, the encoding of each value."""

    intercept: float
    numbers: dict[str, tuple[float, float, float]]
    encodings: dict[str, dict[str, float]]

    def terms(self, inputs: Inputs) -> dict[str, Floats]:
        """Return each name's addend to the log of the factor, (n,); what is unknown adds nothing."""
        columns = _columns(inputs, self.encodings)
        return {
            name: weight * _standardised(columns[name], mean, deviation)
            for name, (mean, deviation, weight) in self.numbers.items()
        }

    def apply(self, inputs: Inputs) -> Floats:
        """Return the corrected expectation, (n,): times a factor between 1/4 and 4."""
        log_factor = self.intercept + sum(self.terms(inputs).values(), np.zeros(len(inputs.expected_minor)))
        result: Floats = inputs.expected_minor * np.exp(
            np.clip(log_factor, -math.log(_MOST_FACTOR), math.log(_MOST_FACTOR))
        )
        return result


class Intervals(msgspec.Struct, frozen=True):
    """Bounds over prediction in bins of predicted value; ``edges_minor`` part the bins."""

    edges_minor: list[float]
    lower: list[float]
    upper: list[float]

    def bounds(self, predicted_minor: Floats) -> tuple[Floats, Floats]:
        """Return lower and upper bounds, (n,) each, with the prediction between them."""
        places = np.searchsorted(np.asarray(self.edges_minor), predicted_minor, side="right")
        lower = predicted_minor * np.asarray(self.lower)[places]
        upper = predicted_minor * np.asarray(self.upper)[places]
        return np.minimum(lower, predicted_minor), np.maximum(upper, predicted_minor)


class Lesson(NamedTuple):
    """What the examples taught; deviances are out of fold, of the plain expectation and of the corrected one.

    ``correction`` is None where it would not have helped.
    """

    correction: Correction | None
    intervals: Intervals
    examples: int
    customers: int
    deviance_plain: float
    deviance_corrected: float


def learn(inputs: Inputs, value_minor: Floats, customer_ids: Sequence[str]) -> Lesson | None:
    """Learn from matured examples; None below ``MIN_EXAMPLES``.

    Parameters
    ----------
    value_minor
        What came of each example, (n,).
    customer_ids
        A customer's examples stay in one fold: nobody is judged by a factor that learned from them.
    """
    count = len(value_minor)
    if count < MIN_EXAMPLES:
        return None
    folds = folds_of(customer_ids)
    corrected = np.zeros(count)
    for fold in range(FOLDS):
        kept, out = folds != fold, folds == fold
        if kept.any() and out.any():
            corrected[out] = _fit(_take(inputs, kept), value_minor[kept], folds[kept]).apply(_take(inputs, out))
    plain, better = (_deviances(value_minor, said) for said in (inputs.expected_minor, corrected))
    is_better = _is_better(plain - better, customer_ids)
    return Lesson(
        correction=_fit(inputs, value_minor, folds) if is_better else None,
        intervals=_intervals(value_minor, corrected if is_better else inputs.expected_minor),
        examples=count,
        customers=len(set(customer_ids)),
        deviance_plain=float(plain.mean()),
        deviance_corrected=float(better.mean()),
    )


def folds_of(customer_ids: Sequence[str]) -> Ints:
    """Return each customer's fold, a function of the id alone."""
    digests = (hashlib.blake2b(name.encode(), digest_size=8).digest() for name in customer_ids)
    return np.array([int.from_bytes(digest) % FOLDS for digest in digests], dtype=np.int64)


def _deviances(value_minor: Floats, predicted_minor: Floats) -> Floats:
    # Tweedie's of power 1.5, floored as the prequential one is: figures of both can be compared.
    root = np.sqrt(np.maximum(predicted_minor, max(float(value_minor.mean()) / 1000.0, 1e-9)))
    result: Floats = 4.0 * (root - np.sqrt(value_minor)) ** 2 / root
    return result


def _is_better(gains: Floats, customer_ids: Sequence[str]) -> bool:
    """Tell whether the sum of the gains exceeds what chance explains, one customer's examples counting as one draw."""
    names, places = np.unique(np.asarray(customer_ids, dtype=object).astype(str), return_inverse=True)
    by_customer = np.bincount(places, gains, len(names))
    error = float(by_customer.std(ddof=1)) * math.sqrt(len(names)) if len(names) > 1 else math.inf
    return float(by_customer.sum()) > _MIN_STANDARD_ERRORS * error


def _fit(inputs: Inputs, value_minor: Floats, folds: Ints) -> Correction:
    # A ratio to the expectation, weighed by it, is learned exactly as a value with the expectation as its offset.
    ratio = np.minimum(value_minor, np.quantile(value_minor, _HIGHEST_VALUE)) / inputs.expected_minor
    weight = inputs.expected_minor
    encodings = {name: _encode(texts, ratio, weight) for name, texts in inputs.texts.items()}
    columns = _columns(inputs, encodings)
    for name, texts in inputs.texts.items():
        columns[name] = _out_of_fold(texts, ratio, weight, folds)
    scales = {name: _scale(column) for name, column in columns.items()}
    used = [name for name, (_, deviation) in scales.items() if deviation > 0.0]
    if not ratio.any():
        return Correction(-math.log(_MOST_FACTOR), {}, encodings)
    rows = np.column_stack([np.ones(len(ratio)), *(_standardised(columns[name], *scales[name]) for name in used)])
    intercept, *weights = _poisson(rows, ratio, weight)
    found = {name: (*scales[name], one) for name, one in zip(used, weights, strict=True)}
    return Correction(intercept, found, encodings)


def _poisson(rows: Floats, ratio: Floats, weight: Floats) -> list[float]:
    """Return the weights of a log-linear Poisson model by Newton's method; the first column's is not shrunk.

    scikit-learn's PoissonRegressor minimises the same, to the same weights; its threads take seconds on a busy machine.
    """
    share = weight / weight.sum()
    ridge = np.full(rows.shape[1], _RIDGE)
    ridge[0] = 0.0
    beta = np.zeros(rows.shape[1])
    beta[0] = math.log(float((share * ratio).sum()))

    def loss(weights: Floats) -> float:
        logs = rows @ weights
        with np.errstate(over="ignore", invalid="ignore"):  # a step too far is halved
            return float((share * (np.exp(logs) - ratio * logs)).sum() + (ridge * weights**2).sum() / 2.0)

    best = loss(beta)
    for _ in range(_NEWTON_STEPS):
        mean = np.exp(rows @ beta)
        slope = rows.T @ (share * (mean - ratio)) + ridge * beta
        step = np.linalg.solve((rows.T * (share * mean)) @ rows + np.diag(ridge + _JITTER), slope)
        size = 1.0
        while size > _JITTER and not loss(beta - size * step) <= best:
            size /= 2.0
        now = loss(beta - size * step)
        if not now < best - 1e-12:
            break
        beta, best = beta - size * step, now
    return [float(one) for one in beta]


def _columns(inputs: Inputs, encodings: dict[str, dict[str, float]]) -> dict[str, Floats]:
    columns = dict(inputs.numbers)
    for name, texts in inputs.texts.items():
        known = encodings[name]
        columns[name] = np.array([known.get(text, math.nan) for text in texts], dtype=np.float64)
    return columns


def _scale(column: Floats) -> tuple[float, float]:
    known = column[np.isfinite(column)]
    if not len(known):
        return 0.0, 0.0
    deviation = float(known.std())
    return float(known.mean()), deviation if deviation > 1e-9 * max(1.0, abs(float(known.mean()))) else 0.0


def _standardised(column: Floats, mean: float, deviation: float) -> Floats:
    z = np.clip((column - mean) / deviation, -_MOST_Z, _MOST_Z)
    return np.where(np.isfinite(z), z, 0.0)


def _encode(texts: Sequence[str], ratio: Floats, weight: Floats) -> dict[str, float]:
    """Return the log of each text's mean ratio over all texts' mean, shrunk towards 0; the empty text has none."""
    overall = float((weight * ratio).sum() / weight.sum())
    if overall <= 0.0:
        return {}
    names, places = np.unique(np.asarray(texts, dtype=object).astype(str), return_inverse=True)
    smoothing = _SMOOTHING_EXAMPLES * float(weight.mean())
    value = np.bincount(places, weight * ratio, len(names)) + smoothing * overall
    total = np.bincount(places, weight, len(names)) + smoothing
    logs = np.log(value / total / overall)
    return {name: log for name, log in zip(names.tolist(), logs.tolist(), strict=True) if name}


def _out_of_fold(texts: Sequence[str], ratio: Floats, weight: Floats, folds: Ints) -> Floats:
    names = np.asarray(texts, dtype=object)
    result = np.full(len(names), math.nan)
    for fold in np.unique(folds):
        kept, out = folds != fold, folds == fold
        known = _encode(names[kept].tolist(), ratio[kept], weight[kept]) if kept.any() else {}
        result[out] = [known.get(text, math.nan) for text in names[out]]
    return result


def _intervals(value_minor: Floats, predicted_minor: Floats) -> Intervals:
    """Return split-conformal bounds: quantiles of value over prediction in equal bins of predicted value."""
    edges = np.quantile(predicted_minor, np.arange(1, _INTERVAL_BINS) / _INTERVAL_BINS)
    places = np.searchsorted(edges, predicted_minor, side="right")
    lower, upper = [], []
    for place in range(_INTERVAL_BINS):
        chosen = places == place
        ratios = np.sort(value_minor[chosen] / predicted_minor[chosen])
        lower.append(_at_rank(ratios, (1.0 - COVERAGE) / 2.0, is_upper=False))
        upper.append(_at_rank(ratios, (1.0 + COVERAGE) / 2.0, is_upper=True))
    return Intervals(edges.tolist(), lower, upper)


def _at_rank(ratios: Floats, level: float, *, is_upper: bool) -> float:
    # Split conformal prediction counts one more residual than were seen, at the unfavourable end of each side.
    exact = level * (len(ratios) + 1)
    rank = math.ceil(exact) - 1 if is_upper else math.floor(exact) - 1
    if rank < 0 or not len(ratios):
        return 0.0 if not is_upper else 12.0
    return float(ratios[min(rank, len(ratios) - 1)])


def _take(inputs: Inputs, rows: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Inputs:
    places = np.flatnonzero(rows).tolist()
    return Inputs(
        {name: column[rows] for name, column in inputs.numbers.items()},
        {name: [texts[place] for place in places] for name, texts in inputs.texts.items()},
        inputs.expected_minor[rows],
    )
