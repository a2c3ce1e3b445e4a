"""Estimators of others as challengers: found by entry point, spoken to through a narrow port, switched off if unsound.

Not wired into training yet: docs/custom-models.md says what is decided and what is open.
"""

from __future__ import annotations

import re
import time
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np

from models.btyd import bounded
from models.relative import INPUT_NAMES, MAX_RATIO, inputs, ratio

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from importlib.metadata import EntryPoint

    from clv.ports import Floats

GROUP = "clv.models"
MAX_FIT_SECONDS = 120.0
RESERVED_NAMES = frozenset({"clv", "btyd", "online", "ensemble", "naive", "scorer", "aggregated"})
"""Models of the product, and names of what it publishes."""
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_PROBE_ROWS = 32
_PROBE_TOLERANCE = 1e-6
# A stranger's code may raise whatever it likes, and even call sys.exit: training goes on. Ctrl-C still stops it.
_ANYTHING = (Exception, SystemExit)

Stage = Literal["discover", "create", "fit", "predict"]


@runtime_checkable
class Estimator(Protocol):
    """What an entry point's factory returns, as scikit-learn's regressors are.

    The trainer calls both from one thread. ``X`` is (n, len(INPUT_NAMES)) float64, the natural logarithm of one plus
    each input, columns in the order of ``models.relative.INPUT_NAMES``; arrays are the estimator's own to change.
    """

    def fit(self, X: Floats, y: Floats, sample_weight: Floats) -> object:  # noqa: N803  # scikit-learn's name
        """Learn ratios ``y``, (n,): see ``models.relative.ratio``; weights (n,) are 1 on average."""

    def predict(self, X: Floats) -> Floats:  # noqa: N803  # scikit-learn's name
        """Return expected ratios, (n,): finite, and each of its row alone."""


class SwitchedOff(NamedTuple):
    """A custom model was switched off; ``problem`` is one line, of bounded length."""

    name: str
    stage: Stage
    problem: str


class Found(NamedTuple):
    """A factory that an installed distribution offers."""

    name: str
    distribution: str
    factory: Callable[[], Estimator]


def discover(on_event: Callable[[SwitchedOff], None], *, installed: Iterable[EntryPoint] | None = None) -> list[Found]:
    """Return what is installed under ``clv.models``, by name; what cannot be loaded becomes an event.

    Parameters
    ----------
    on_event
        Called once for each that is left out: its import failed, its name is taken or no name, it is no factory.
    installed
        Entry points to take; those of this Python installation when omitted.

    Notes
    -----
    Loading an entry point runs its distribution's code with the trainer's rights: what is installed is trusted.
    """
    offered = entry_points(group=GROUP) if installed is None else installed
    found: dict[str, Found] = {}
    for point in sorted(offered, key=lambda one: (one.name, one.value)):
        problem = _refusal(point.name, found)
        if problem:
            on_event(SwitchedOff(point.name[:64], "discover", problem))
            continue
        try:
            factory = point.load()
        except _ANYTHING as error:
            on_event(SwitchedOff(point.name, "discover", _one_line(error)))
            continue
        if not callable(factory):
            on_event(SwitchedOff(point.name, "discover", f"{point.value} is not callable"))
            continue
        distribution = f"{point.dist.name} {point.dist.version}" if point.dist else ""
        found[point.name] = Found(point.name, distribution, factory)
    return list(found.values())


class CustomModel:
    """An estimator as a challenger: predicts minor units like any model, and never raises because of the estimator.

    Parameters
    ----------
    found
        What ``discover`` returned.
    on_event
        Called once, when the model is switched off; from then on it does not answer.
    max_fit_seconds
        A fit that took longer is not used, and is the last one. It cannot be interrupted.
    """

    def __init__(
        self,
        found: Found,
        on_event: Callable[[SwitchedOff], None],
        *,
        max_fit_seconds: float = MAX_FIT_SECONDS,
    ) -> None:
        self.name = found.name
        self.switched_off: SwitchedOff | None = None
        self._factory = found.factory
        self._on_event = on_event
        self._max_fit_seconds = max_fit_seconds
        self._fitted: Estimator | None = None

    @property
    def is_answering(self) -> bool:
        """Whether it has been fitted and is not switched off."""
        return self._fitted is not None and self.switched_off is None

    def fit(self, features: Floats, unit: Floats, value_minor: Floats) -> None:
        """Fit a new estimator; the one before answers until this one has proved sound.

        Parameters
        ----------
        features, unit, value_minor
            (n, len(FEATURE_NAMES)) rows, what a ratio of 1 is worth (``models.relative.unit_minor``), and what came.
        """
        if self.switched_off or not len(unit):
            return
        rows = _rows(features, unit)
        weight = np.sqrt(np.minimum(unit, np.quantile(unit, 0.99)))
        weight = weight / weight.mean()
        stage: Stage = "create"
        try:
            estimator = self._factory()
            if not isinstance(estimator, Estimator):
                raise TypeError("the factory's result has no fit and predict")
            stage, started = "fit", time.perf_counter()
            estimator.fit(rows.copy(), ratio(value_minor, unit, features), sample_weight=weight)
            seconds = time.perf_counter() - started
            if seconds > self._max_fit_seconds:
                raise TimeoutError(f"the fit took {seconds:.0f} s, at most {self._max_fit_seconds:.0f} s are given")
            stage = "predict"
            _probe(estimator, rows[:_PROBE_ROWS])
        except _ANYTHING as error:
            self._switch_off(stage, error)
        else:
            self._fitted = estimator

    def predict_minor(self, features: Floats, unit: Floats) -> Floats:
        """Return predictions, (n,): bounded as every model's; 0 throughout, "no answer", where it does not answer."""
        if self.is_answering:
            assert self._fitted is not None
            try:
                said = _ratios(self._fitted, _rows(features, unit))
                return bounded(np.clip(said, 0.0, MAX_RATIO) * unit)
            except _ANYTHING as error:
                self._switch_off("predict", error)
        return np.zeros(len(unit))

    def _switch_off(self, stage: Stage, error: BaseException) -> None:
        self.switched_off = SwitchedOff(self.name, stage, _one_line(error))
        self._fitted = None
        self._on_event(self.switched_off)


def _refusal(name: str, found: dict[str, Found]) -> str:
    if not _NAME.fullmatch(name):
        return "its name is not lower-case letters, digits, - and _, at most 32"
    if name in RESERVED_NAMES:
        return "its name belongs to a model of the product"
    return "another distribution offers the same name" if name in found else ""


def _rows(features: Floats, unit: Floats) -> Floats:
    rows: Floats = np.ascontiguousarray(inputs(features, unit).T)
    assert rows.shape[1] == len(INPUT_NAMES)
    return rows


def _ratios(estimator: Estimator, rows: Floats) -> Floats:
    said = np.array(estimator.predict(rows.copy()), dtype=np.float64)
    if said.shape != (len(rows),):
        raise ValueError(f"predict returned shape {said.shape} for {len(rows)} rows")
    if not np.isfinite(said).all():
        raise ValueError(f"predict returned {int((~np.isfinite(said)).sum())} values that are not finite")
    return said


def _probe(estimator: Estimator, rows: Floats) -> None:
    """Refuse an estimator whose answer depends on the row's neighbours: scores must not depend on batches."""
    together = _ratios(estimator, rows)
    reverse = _ratios(estimator, np.ascontiguousarray(rows[::-1]))[::-1]
    alone = _ratios(estimator, rows[:1])
    if not (
        np.allclose(together, reverse, rtol=_PROBE_TOLERANCE)
        and np.allclose(together[:1], alone, rtol=_PROBE_TOLERANCE)
    ):
        raise ValueError("a row's prediction depends on the rows beside it")


def _one_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]
