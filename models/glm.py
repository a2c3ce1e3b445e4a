"""The windowed regression: what BTYD misses, learnt from what customers did until now.

A Tweedie regression (log link, power 1.5) of the value realised in windows of the recent past over what BTYD expects
of them. It sees what BTYD cannot: purchase rates that change, regularity, silence, marketing attributes. A window
ends now, so that it is as new as BTYD's own fit, a horizon newer than any matured label.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import structlog
from sklearn.linear_model import TweedieRegressor
from threadpoolctl import threadpool_limits

from clv.errors import FeatureMismatch
from clv.features import CODE_NAMES, FEATURE_INDEX, RECENT_HALF_LIVES_DAYS
from clv.rules import DAY_MS
from models import bgnbd, btyd, encoding, relative
from models.btyd import DAYS_PER_WEEK, BtydParams, bounded
from models.encoding import Table

if TYPE_CHECKING:
    from clv.ports import Floats
    from clv.windows import Windows
    from models.btyd import BtydAnswer

log = structlog.get_logger(__name__)

INPUT_NAMES = (
    "repeat_purchases",
    "days_since_last_purchase",
    "customer_age",
    "last_purchase_age",
    "expected_orders",
    "probability_alive",
    "mean_value",
    "mean_gap",
    "gap_cv",
    "silence_over_gap",
    "recent_rate_30d",
    "recent_rate_60d",
    "recent_rate_120d",
    "never_repeated",
    "repeated_once",
    "repeat_purchases_squared",
    "repeat_purchases_x_silence",
    "silence_squared",
    "never_repeated_x_silence",
    "never_repeated_x_age",
    "return_rate",
    "category_count",
    "email_sent",
    "email_open_rate",
    "email_click_rate",
    "acquisition_cost",
    "has_acquisition",
    "source_effect_x_newness",
    "campaign_effect_x_newness",
    "category_effect_x_newness",
)
"""Logs of counts, days and money; rates and shares as they are; effects as ``models.encoding`` has learnt them.

What a name says counts by a customer's newness, 60 days over 60 days more than its age: the longer somebody has been
known, the more of it BTYD has seen already (on ``producers.generator``, whole effects made older customers worse).
"""
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
_NEW_DAYS = 60.0
# Ridge penalties: as for a normal prior on the weights, less the more customers there are.
_PENALTY, _PENALTY_CUSTOMERS = 0.002, 12.0


class GlmState(msgspec.Struct, frozen=True):
    """What was learnt, as plain numbers in the order of ``INPUT_NAMES``; ``encodings`` by the names of the codes.

    ``support_minor`` is the unit (``relative.unit_minor``) beyond which corrections fade.
    """

    means: tuple[float, ...]
    scales: tuple[float, ...]
    weights: tuple[float, ...]
    intercept: float
    support_minor: float
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
        result: Floats = np.clip(raw, -limit, limit) * self.fade(features, answer)
        return result

    def terms(self, features: Floats, answer: BtydAnswer) -> Floats:
        """Return what each input adds to the logarithm before it fades, (len(INPUT_NAMES), n)."""
        if self.input_digest != INPUT_DIGEST:
            raise FeatureMismatch(f"the regression was learnt from inputs {self.input_digest}, not {INPUT_DIGEST}")
        encoded = [encoding.apply(self.encodings[name], _column(features, name)) for name in CODE_NAMES]
        means, scales, weights = (np.array(part)[:, None] for part in (self.means, self.scales, self.weights))
        result: Floats = np.clip((_inputs(features, answer, encoded) - means) / scales, -CLIP, CLIP) * weights
        return result

    def fade(self, features: Floats, answer: BtydAnswer) -> Floats:
        """Return how much of a correction counts, (n,): all of it inside the support, less the further outside."""
        return relative.fade(self._unit(features, answer), self.support_minor)

    def _unit(self, features: Floats, answer: BtydAnswer) -> Floats:
        return relative.unit_minor(features, answer.value_minor)


def fit(windows: Windows, base: BtydParams, *, now_ms: int, horizon_days: int) -> GlmState | None:
    """Fit to windows that ended no later than ``now_ms``; None where they are too few to learn from.

    Notes
    -----
    Deterministic; a second for 100,000 windows.
    """
    customers = len(np.unique(windows.customer))
    bought = int((windows.value_minor > 0).sum())
    if len(windows.value_minor) < MIN_WINDOWS or customers < MIN_CUSTOMERS or bought < MIN_BUYING_WINDOWS:
        return None
    if np.quantile(windows.span_days, 0.9) < MIN_SHARE * horizon_days:
        return None
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
    weight = weight / weight.mean()
    tables: dict[str, Table] = {}
    encoded = []
    for name in CODE_NAMES:
        tables[name], column = encoding.fit(_column(windows.features, name), ratio, weight, windows.customer)
        encoded.append(column)
    rows = _inputs(windows.features, answer, encoded)
    means, deviations = rows.mean(axis=1), rows.std(axis=1)
    # What hardly varies says nothing: an infinite scale makes it 0.
    scales = np.where(deviations > 1e-9, deviations, np.inf)
    scaled = np.clip((rows - means[:, None]) / scales[:, None], -CLIP, CLIP).T
    penalty = _PENALTY + _PENALTY_CUSTOMERS / customers
    model = TweedieRegressor(power=_POWER, link="log", alpha=penalty, max_iter=500, tol=1e-5)
    # On matrices this narrow more threads only wait for one another.
    with threadpool_limits(1):
        model.fit(scaled, ratio, sample_weight=weight)
    weights = np.where(np.isfinite(model.coef_), model.coef_, 0.0)
    state = GlmState(
        means=tuple(means.tolist()),
        scales=tuple(np.where(np.isfinite(scales), scales, 1e300).tolist()),
        weights=tuple(weights.tolist()),
        intercept=float(model.intercept_) if np.isfinite(model.intercept_) else 0.0,
        support_minor=float(np.quantile(relative.unit_minor(windows.features, answer.value_minor), SUPPORT_QUANTILE)),
        encodings=tables,
        btyd_version=base.version,
        window_count=len(ratio),
        customer_count=customers,
    )
    log.info("refitted", model="glm", version=state.version, windows=state.window_count, customers=customers)
    return state


def _column(features: Floats, name: str) -> Floats:
    # Contiguous, because strided arrays may take another vector path with other last bits.
    return np.ascontiguousarray(features[:, FEATURE_INDEX[name]], dtype=np.float64)


def _inputs(features: Floats, answer: BtydAnswer, encoded: list[Floats]) -> Floats:
    def logged(name: str) -> Floats:
        return np.log1p(np.maximum(_column(features, name), 0.0))

    repeats, age, gap = logged("repeat_purchase_count"), logged("customer_age_days"), logged("mean_gap_days")
    days = _column(features, "customer_age_days")
    silence = np.log1p(np.maximum(days - _column(features, "last_purchase_age_days"), 0.0))
    purchases = np.maximum(_column(features, "repeat_purchase_count"), 0.0) + 1.0
    never, once = (purchases == 1.0).astype(np.float64), (purchases == 2.0).astype(np.float64)
    newness = _NEW_DAYS / (_NEW_DAYS + np.maximum(days, 0.0))
    rows = [
        repeats,
        silence,
        age,
        logged("last_purchase_age_days"),
        np.log(answer.orders + 1e-3),
        np.log(np.maximum(answer.alive, 1e-3)),
        logged("mean_purchase_value_minor"),
        gap,
        _column(features, "gap_cv"),
        np.where(never > 0.0, 0.0, silence - gap),
        *(_recent_rate(features, purchases, days, half_life) for half_life in RECENT_HALF_LIVES_DAYS),
        never,
        once,
        repeats * repeats,
        repeats * silence,
        silence * silence,
        never * silence,
        never * age,
        _column(features, "return_rate"),
        logged("category_count"),
        logged("email_sent_count"),
        _column(features, "email_open_rate"),
        _column(features, "email_click_rate"),
        logged("acquisition_cost_minor"),
        _column(features, "has_acquisition"),
        *(effect * newness for effect in encoded),
    ]
    return np.stack(rows)


def _recent_rate(features: Floats, purchases: Floats, days: Floats, half_life: int) -> Floats:
    """Log of recent purchases over what an even rate would have left of all of them."""
    memory = half_life / np.log(2.0)
    even = purchases * np.minimum(1.0, memory / (days + half_life))
    result: Floats = np.log((_column(features, f"recent_purchases_{half_life}d") + 0.5) / (even + 0.5))
    return result
