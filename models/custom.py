"""Estimators of others as challengers: found by entry point, spoken to through a narrow port, switched off if unsound.

They are fitted beside the ensemble and travel in its artifact as ONNX; docs/custom-models.md is the user's page.
"""

from __future__ import annotations

import re
import time
import warnings
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
import structlog
from sklearn.pipeline import Pipeline

from models.onnx_export import check_workers_can, checked_export

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from importlib.metadata import EntryPoint

    from numpy.typing import NDArray

    from clv.ports import Floats

    Rows = NDArray[np.float32]

log = structlog.get_logger(__name__)
GROUP = "clv.models"
MAX_FIT_SECONDS = 120.0
RESERVED_NAMES = frozenset(
    {"clv", "btyd", "online", "ensemble", "naive", "scorer", "aggregated", "glm", "blend", "prior", "segment-policy"}
    | {"customer_id", "as_of", "kind", "predicted", "lower", "upper", "actual", "champion", "scorer_version"}
)
"""Models of the product, names of what it publishes, and columns of a back-test's predictions."""
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_PROBE_ROWS = 32
_PROBE_TOLERANCE = 1e-6
# A stranger's code may raise whatever it likes, and even call sys.exit: training goes on. Ctrl-C still stops it.
_ANYTHING = (Exception, SystemExit)

Stage = Literal["discover", "create", "fit", "predict", "export"]


@runtime_checkable
class Estimator(Protocol):
    """What an entry point's factory returns, as scikit-learn's regressors are.

    The trainer calls both from one thread. ``X`` is (n, len(INPUT_NAMES)) float32, the natural logarithm of one plus
    each input, columns in the order of ``models.relative.INPUT_NAMES``; arrays are the estimator's own to change.
    Where skl2onnx cannot convert it, it has a method ``to_onnx() -> bytes`` besides.
    """

    def fit(self, X: Rows, y: Floats, sample_weight: Floats) -> object:  # noqa: N803  # scikit-learn's name
        """Learn ratios ``y``, (n,): see ``models.relative.ratio``; weights (n,) are 1 on average."""

    def predict(self, X: Rows) -> Floats:  # noqa: N803  # scikit-learn's name
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
    """An estimator as a challenger: fitted anew at each refit, never raises because of the estimator.

    Parameters
    ----------
    found
        What ``discover`` returned.
    on_event
        Called once, when the model is switched off; from then on it is not fitted any more.
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
        self.distribution = found.distribution
        self.switched_off: SwitchedOff | None = None
        self._factory = found.factory
        self._on_event = on_event
        self._max_fit_seconds = max_fit_seconds

    def fit(self, rows: Rows, target: Floats, weight: Floats) -> bytes | None:
        """Fit a new estimator and return it as ONNX; None where it is switched off, or there is nothing to learn.

        Parameters
        ----------
        rows, target, weight
            (n, len(INPUT_NAMES)) inputs of ``models.ensemble.tree_inputs``, ratios of ``models.relative.ratio``, and
            weights that are 1 on average.
        """
        if self.switched_off or not len(rows):
            return None
        stage: Stage = "create"
        try:
            estimator = self._factory()
            if not isinstance(estimator, Estimator):
                raise TypeError("the factory's result has no fit and predict")
            stage, started = "fit", time.perf_counter()
            _fit(estimator, rows.copy(), target.copy(), weight.copy())
            seconds = time.perf_counter() - started
            if seconds > self._max_fit_seconds:
                raise TimeoutError(f"the fit took {seconds:.0f} s, at most {self._max_fit_seconds:.0f} s are given")
            stage = "predict"
            _probe(estimator, rows[:_PROBE_ROWS])
            stage = "export"
            exported = checked_export(estimator, rows)
            check_workers_can(exported, rows)
        except _ANYTHING as error:
            self.switched_off = SwitchedOff(self.name, stage, _one_line(error))
            self._on_event(self.switched_off)
            return None
        return exported


def installed_models() -> tuple[CustomModel, ...]:
    """Return this installation's custom models, to be fitted; what is unsound is said in the log, once."""
    return tuple(CustomModel(found, _warn) for found in discover(_warn))


def _warn(event: SwitchedOff) -> None:
    log.warning("custom model switched off", model=event.name, stage=event.stage, problem=event.problem)


def _fit(estimator: Estimator, rows: Rows, target: Floats, weight: Floats) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they are for whoever makes the model, not for whoever runs the trainer
        if isinstance(estimator, Pipeline):
            # scikit-learn's pipelines take weights by the name of a step.
            estimator.fit(rows, target, **{f"{estimator.steps[-1][0]}__sample_weight": weight})
        else:
            estimator.fit(rows, target, sample_weight=weight)


def _refusal(name: str, found: dict[str, Found]) -> str:
    if not _NAME.fullmatch(name):
        return "its name is not lower-case letters, digits, - and _, at most 32"
    if name in RESERVED_NAMES:
        return "its name belongs to the product"
    return "another distribution offers the same name" if name in found else ""


def _ratios(estimator: Estimator, rows: Rows) -> Floats:
    said = np.array(estimator.predict(rows.copy()), dtype=np.float64)
    if said.shape != (len(rows),):
        raise ValueError(f"predict returned shape {said.shape} for {len(rows)} rows")
    if not np.isfinite(said).all():
        raise ValueError(f"predict returned {int((~np.isfinite(said)).sum())} values that are not finite")
    return said


def _probe(estimator: Estimator, rows: Rows) -> None:
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
