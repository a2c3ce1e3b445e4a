"""The windowed regression: what BTYD misses, learnt from what customers did until now.

A Tweedie regression (log link, power 1.5) of the value realised in windows of the recent past over what BTYD expects
of them. It sees what BTYD cannot: purchase rates that change, regularity, silence, marketing attributes. A window
ends now, so that it is as new as BTYD's own fit, a horizon newer than any matured label.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np
import structlog
from sklearn.linear_model import TweedieRegressor
from threadpoolctl import threadpool_limits

from clv.errors import FeatureMismatch
from clv.features import CODE_NAMES
from clv.rules import DAY_MS
from models import attributes, bgnbd, btyd, encoding, relative
from models.btyd import DAYS_PER_WEEK, BtydParams, bounded
from models.clamping import clamped
from models.encoding import Table
from models.glm_inputs import BEHAVIOUR_NAMES, INPUT_NAMES, column, inputs, newness
from models.residual import Fitted

if TYPE_CHECKING:
    from clv.ports import Floats
    from clv.windows import Windows
    from models.btyd import BtydAnswer

log = structlog.get_logger(__name__)

INPUT_DIGEST = hashlib.sha256("\n".join(INPUT_NAMES).encode()).hexdigest()[:16]
MIN_WINDOWS = 300
MIN_CUSTOMERS = 50
MIN_BUYING_WINDOWS = 30
MIN_SHARE = 0.4
"""Of the horizon that the longest tenth of windows must have lasted: weeks say little about a quarter."""
CLIP = 4.0
MAX_FACTOR = 5.0
SUPPORT_QUANTILE = 0.98
"""Beyond this quantile of what was learnt from, corrections fade: there the base is believed."""
_POWER = 1.5
_HALF_LIFE_DAYS = 120.0
_MOST_LOG = 10.0
# Ridge penalties: as for a normal prior on the weights, less the more customers there are.
_PENALTY, _PENALTY_CUSTOMERS = 0.002, 12.0


class GlmState(msgspec.Struct, frozen=True):
    """What was learnt, as plain numbers of behaviour and attributes, in their order; ``encodings`` by the codes' names.

    ``support_minor`` is the unit (``relative.unit_minor``) beyond which corrections fade. At ``newness_days`` of age,
    BG/NBD's α, half of what a name says counts.
    """

    means: tuple[float, ...]
    scales: tuple[float, ...]
    weights: tuple[float, ...]
    intercept: float
    support_minor: float
    newness_days: float
    encodings: dict[str, Table]
    btyd_version: str
    window_count: int
    customer_count: int
    input_digest: str = INPUT_DIGEST

    @property
    def version(self) -> str:
        """Digest of everything that was learnt."""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()[:12]

    def predict(self, features: Floats, answer: BtydAnswer) -> Floats:
        """Predict value over the horizon, (n,), from features (n, len(FEATURE_NAMES)) and BTYD's answer for them.

        Raises
        ------
        FeatureMismatch
            When it was learnt by another build.

        Notes
        -----
        About 2 µs a row in batches of 500; a row's bits do not depend on the batch's size.
        """
        return bounded(self._unit(features, answer) * np.exp(self.log_factor(features, answer)))

    def log_factor(self, features: Floats, answer: BtydAnswer) -> Floats:
        """Return the logarithm of what the unit is multiplied by, (n,)."""
        terms = self.terms(features, answer)
        raw = self.intercept + np.cumsum(terms, axis=0)[-1]
        limit = np.log(MAX_FACTOR)
        result: Floats = clamped(raw, -limit, limit) * self.fade(features, answer)
        return result

    def terms(self, features: Floats, answer: BtydAnswer) -> Floats:
        """Return what each input adds to the logarithm before it fades, (len(INPUT_NAMES), n)."""
        if self.input_digest != INPUT_DIGEST:
            raise FeatureMismatch(f"the regression was learnt from inputs {self.input_digest}, not {INPUT_DIGEST}")
        means, scales, weights = (np.array(part)[:, None] for part in (self.means, self.scales, self.weights))
        weighed = clamped((inputs(features, answer) - means) / scales, -CLIP, CLIP) * weights
        counts = newness(features, self.newness_days)
        effects = [encoding.apply(self.encodings[name], column(features, name)) * counts for name in CODE_NAMES]
        result: Floats = np.concatenate((weighed, effects))
        return result

    def fade(self, features: Floats, answer: BtydAnswer) -> Floats:
        """Return how much of a correction counts, (n,): all of it inside the support, less the further outside."""
        return relative.fade(self._unit(features, answer), self.support_minor)

    def _unit(self, features: Floats, answer: BtydAnswer) -> Floats:
        return relative.unit_minor(features, answer.value_minor)


class _Rows(NamedTuple):
    """Windows as the regression sees them, (n,) each, beside BTYD's answer for their customers."""

    answer: BtydAnswer
    ratio: Floats
    weight: Floats


def fit(windows: Windows, base: BtydParams, *, now_ms: int, horizon_days: int) -> GlmState | None:
    """Fit to windows that ended no later than ``now_ms``; None where they are too few to learn from.

    Notes
    -----
    Deterministic; a second for 100,000 windows.
    """
    customers = len(np.unique(windows.customer))
    if not _is_enough(windows, customers, horizon_days):
        return None
    answer, ratio, weight = _rows(windows, base, now_ms=now_ms, horizon_days=horizon_days)
    newness_days = base.orders.alpha * DAYS_PER_WEEK
    rows = inputs(windows.features, answer)
    means, deviations = rows.mean(axis=1), rows.std(axis=1)
    # What hardly varies says nothing: an infinite scale makes it 0.
    scales = np.where(deviations > 1e-9, deviations, np.inf)
    scaled = np.clip((rows - means[:, None]) / scales[:, None], -CLIP, CLIP)
    behaviour, others = np.split(scaled, [len(BEHAVIOUR_NAMES)])
    weights, intercept = _fit_behaviour(behaviour, ratio, weight, _PENALTY + _PENALTY_CUSTOMERS / customers)
    expected = np.exp(np.clip(intercept + weights @ behaviour, -_MOST_LOG, _MOST_LOG))
    learnt = attributes.learn(
        others,
        {name: column(windows.features, name) for name in CODE_NAMES},
        newness(windows.features, newness_days),
        Fitted(expected, ratio, weight, windows.customer),
    )
    state = GlmState(
        means=tuple(means.tolist()),
        scales=tuple(np.where(np.isfinite(scales), scales, 1e300).tolist()),
        weights=(*weights.tolist(), *learnt.weights.tolist()),
        intercept=intercept,
        support_minor=float(np.quantile(relative.unit_minor(windows.features, answer.value_minor), SUPPORT_QUANTILE)),
        newness_days=newness_days,
        encodings=learnt.tables,
        btyd_version=base.version,
        window_count=len(ratio),
        customer_count=customers,
    )
    log.info("refitted", model="glm", version=state.version, windows=state.window_count, customers=customers)
    return state


def _is_enough(windows: Windows, customers: int, horizon_days: int) -> bool:
    bought = int((windows.value_minor > 0).sum())
    if len(windows.value_minor) < MIN_WINDOWS or customers < MIN_CUSTOMERS or bought < MIN_BUYING_WINDOWS:
        return False
    return bool(np.quantile(windows.span_days, 0.9) >= MIN_SHARE * horizon_days)


def _rows(windows: Windows, base: BtydParams, *, now_ms: int, horizon_days: int) -> _Rows:
    histories = btyd.histories_of(windows.features)
    answer = btyd.answer(base, histories, horizon_days=horizon_days)
    share = windows.span_days / horizon_days
    expected = bgnbd.expected_orders(
        base.orders, histories.x, histories.t_x, histories.age, windows.span_days / DAYS_PER_WEEK
    )
    part_minor = bounded(expected * btyd.value_per_order(base, histories))
    unit = relative.unit_minor(windows.features, part_minor, share)
    ratio = relative.ratio(windows.value_minor, unit, windows.features)
    # The deviance of values is that of their ratios times the root of the unit.
    weight = np.minimum(np.sqrt(unit), np.quantile(np.sqrt(unit), 0.995)) * share**0.25
    weight = weight * 2.0 ** (-np.maximum(now_ms - windows.as_of_ms, 0) / (_HALF_LIFE_DAYS * DAY_MS))
    return _Rows(answer, ratio, weight / weight.mean())


def _fit_behaviour(behaviour: Floats, ratio: Floats, weight: Floats, penalty: float) -> tuple[Floats, float]:
    model = TweedieRegressor(power=_POWER, link="log", alpha=penalty, max_iter=500, tol=1e-5)
    # On matrices this narrow more threads only wait for one another.
    with threadpool_limits(1):
        model.fit(behaviour.T, ratio, sample_weight=weight)
    weights: Floats = np.where(np.isfinite(model.coef_), model.coef_, 0.0)
    return weights, float(model.intercept_) if np.isfinite(model.intercept_) else 0.0
