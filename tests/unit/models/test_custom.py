"""Estimators of others: found, fitted in one way, exported, and switched off as soon as they are unsound."""

from __future__ import annotations

import sys
import time
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from onnx import TensorProto, helper
from sklearn.linear_model import PoissonRegressor, Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from backtest.predictions import LEADING, TRAILING
from clv.errors import IncompatibleArtifact
from clv.features import FEATURE_INDEX
from models import onnx_export
from models.custom import GROUP, RESERVED_NAMES, CustomModel, Found, SwitchedOff, discover
from models.ensemble import ask, session_of, tree_inputs
from models.onnx_export import checked_export
from models.relative import INPUT_NAMES, unit_minor
from models.relative import ratio as relative_ratio
from tests.conftest import ROOT
from tests.unit.models.histories import feature_rows

if TYPE_CHECKING:
    from collections.abc import Callable

FEATURES = feature_rows(300)
UNIT = unit_minor(FEATURES, np.full(300, 2_000.0))
VALUE = np.random.default_rng(0).gamma(0.5, 4_000.0, 300)
ROWS = tree_inputs(FEATURES, UNIT)
TARGET = relative_ratio(VALUE, UNIT, FEATURES)
WEIGHT = np.ones(300)


class Constant:
    """Predicts what it is told to, and remembers what it was given; its ONNX twin says 1.5."""

    def __init__(self, says: Callable[[Any], Any]) -> None:
        self._says = says
        self.seen: list[Any] = []

    def fit(self, X: Any, y: Any, sample_weight: Any) -> None:  # noqa: N803  # scikit-learn's name
        """Remember and spoil the arrays."""
        self.seen = [X.copy(), y.copy(), sample_weight.copy()]
        X[:], y[:], sample_weight[:] = np.nan, np.nan, np.nan

    def predict(self, X: Any) -> Any:  # noqa: N803  # scikit-learn's name
        """Say it, and spoil the array."""
        said = self._says(X)
        X[:] = np.nan
        return said

    def to_onnx(self) -> bytes:
        """Return what always says 1.5."""
        return checked_export(Ridge().fit(ROWS, np.full(len(ROWS), 1.5)), ROWS)


def _model(factory: Callable[[], Any], **options: Any) -> tuple[CustomModel, list[SwitchedOff]]:
    events: list[SwitchedOff] = []
    return CustomModel(Found("mine", "", factory), events.append, **options), events


def _raise(error: BaseException) -> Any:
    raise error


def asked(fitted: bytes | None) -> Any:
    """Return what an exported fit says of the rows."""
    assert fitted
    return session_of(fitted).run(None, {"inputs": ROWS})[0].ravel()


def test_it_learns_what_it_is_given_on_copies() -> None:
    """Inputs, ratios and weights reach it as they are, and what it does to them harms nobody; its own export counts."""
    estimator = Constant(lambda rows: np.full(len(rows), 1.5))
    model, events = _model(lambda: estimator)
    rows = ROWS.copy()
    fitted = model.fit(rows, TARGET, WEIGHT)
    np.testing.assert_array_equal(ROWS, rows)
    np.testing.assert_array_equal(ROWS, estimator.seen[0])
    np.testing.assert_array_equal(TARGET, estimator.seen[1])
    assert asked(fitted) == pytest.approx(np.full(300, 1.5))
    assert events == []


@pytest.mark.parametrize(
    "factory",
    [
        lambda: PoissonRegressor(max_iter=300),
        lambda: Pipeline([("scale", StandardScaler()), ("ridge", Ridge())]),
    ],
    ids=["regressor", "pipeline"],
)
def test_a_regressor_of_scikit_learn_fits_the_port(factory: Callable[[], Any]) -> None:
    """Out of the box, without an adapter of the user's own; a pipeline's last step gets the weights."""
    model, events = _model(factory)
    weight = np.where(np.median(TARGET) < TARGET, 1.9, 0.1)
    even, heavy = asked(model.fit(ROWS, TARGET, WEIGHT)), asked(model.fit(ROWS, TARGET, weight))
    assert events == []
    assert even.mean() == pytest.approx(TARGET.mean(), rel=0.05)
    assert heavy.mean() > 1.3 * even.mean()


class _NoTwin:
    """Sound, but nothing that can be exported."""

    def fit(self, X: Any, y: Any, sample_weight: Any) -> None:  # noqa: N803  # scikit-learn's name
        """Learn nothing."""

    def predict(self, X: Any) -> Any:  # noqa: N803  # scikit-learn's name
        """Say that all is as expected."""
        return np.ones(len(X))


UNSOUND: dict[str, tuple[str, str, Callable[[], Any]]] = {
    "factory-raises": ("create", "OSError: no file", lambda: _raise(OSError("no\nfile"))),
    "factory-exits": ("create", "SystemExit", lambda: _raise(SystemExit(3))),
    "no-estimator": ("create", "no fit and predict", lambda: 7),
    "predict-raises": ("predict", "ZeroDivisionError", lambda: Constant(lambda rows: 1 // 0)),
    "nan": ("predict", "not finite", lambda: Constant(lambda rows: np.full(len(rows), np.nan))),
    "infinite": ("predict", "not finite", lambda: Constant(lambda rows: np.full(len(rows), np.inf))),
    "shape": ("predict", "shape", lambda: Constant(lambda rows: np.ones((len(rows), 1)))),
    "too-few": ("predict", "shape", lambda: Constant(lambda rows: np.ones(1)[: len(rows) - 1])),
    "text": ("predict", "ValueError", lambda: Constant(lambda rows: ["much"] * len(rows))),
    "nothing": ("predict", "Error", lambda: Constant(lambda rows: None)),
    "neighbours": ("predict", "rows beside it", lambda: Constant(lambda rows: rows[:, 0] - rows[:, 0].mean() + 5)),
    "not-convertible": ("export", "no corresponding converter", _NoTwin),
    "other-twin": ("export", "differs", lambda: Constant(lambda rows: np.full(len(rows), 1.6))),
    "order": ("predict", "rows beside it", lambda: Constant(lambda rows: np.arange(len(rows)) + 1.0)),
}


@pytest.mark.parametrize("name", UNSOUND)
def test_an_unsound_estimator_is_switched_off(name: str) -> None:
    """One event with stage and cause on one line; it gives nothing, and is not asked again."""
    stage, cause, factory = UNSOUND[name]
    model, events = _model(factory)
    assert [model.fit(ROWS, TARGET, WEIGHT) for _ in range(2)] == [None, None]
    assert [(event.name, event.stage) for event in events] == [("mine", stage)]
    assert cause in events[0].problem
    assert "\n" not in events[0].problem


def test_a_linear_model_s_bits_do_not_depend_on_the_batch() -> None:
    """A row alone, in pairs, and among all others: the same to the last bit, as for every model."""
    model, _ = _model(lambda: Pipeline([("scale", StandardScaler()), ("ridge", Ridge())]))
    fitted = model.fit(ROWS, TARGET, WEIGHT)
    assert fitted
    session = session_of(fitted)
    for size in (1, 2, 7):
        parts = [ask(session, ROWS[start : start + size]) for start in range(0, len(ROWS), size)]
        assert np.concatenate(parts).tolist() == ask(session, ROWS).tolist()


@pytest.mark.parametrize(
    ("bound", "most", "cause"),
    [("MAX_BYTES", 100, "at most 100 are published"), ("MAX_ROW_SECONDS", 0.0, "too long for a worker")],
    ids=["size", "time"],
)
def test_one_that_workers_could_not_carry_is_switched_off(
    monkeypatch: pytest.MonkeyPatch, bound: str, most: float, cause: str
) -> None:
    """Every worker holds it and asks it at every score: large and slow ones are refused where they are fitted."""
    monkeypatch.setattr(onnx_export, bound, most)
    model, events = _model(Ridge)
    assert model.fit(ROWS, TARGET, WEIGHT) is None
    assert [(event.stage, cause in event.problem) for event in events] == [("export", True)]


def test_an_export_that_looks_at_its_neighbours_is_switched_off() -> None:
    """The estimator may be sound and its ONNX form be none."""
    rows = helper.make_tensor_value_info("inputs", TensorProto.FLOAT, [None, len(INPUT_NAMES)])
    said = helper.make_tensor_value_info("said", TensorProto.FLOAT, [None, 1])
    nodes = [
        helper.make_node("ReduceMean", ["inputs"], ["all"], keepdims=1),
        helper.make_node("ReduceMean", ["inputs"], ["row"], axes=[1], keepdims=1),
        helper.make_node("Mul", ["row", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "all"], ["said"]),
    ]
    zero = helper.make_tensor("zero", TensorProto.FLOAT, [1], [0.0])
    graph = helper.make_graph(nodes, "neighbours", [rows], [said], [zero])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    with pytest.raises(IncompatibleArtifact, match="rows beside it"):
        onnx_export.check_workers_can(model.SerializeToString(), ROWS)


def test_a_fit_that_takes_too_long_is_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """It cannot be interrupted, but it is not repeated."""
    moments = iter([0.0, 121.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(moments))
    model, events = _model(lambda: Constant(lambda rows: np.ones(len(rows))))
    assert [model.fit(ROWS, TARGET, WEIGHT) for _ in range(2)] == [None, None]
    assert "took 121 s" in events[0].problem


def test_ctrl_c_still_stops() -> None:
    """Only the estimator's own failures are kept in."""
    model, _ = _model(lambda: _raise(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        model.fit(ROWS, TARGET, WEIGHT)


def test_nothing_to_learn_is_no_failure() -> None:
    """Before any example has matured the model is neither fitted nor switched off."""
    model, events = _model(lambda: _raise(AssertionError("asked")))
    assert (model.fit(ROWS[:0], TARGET[:0], WEIGHT[:0]), events, model.switched_off) == (None, [], None)


def test_discovery_takes_what_loads_and_reports_the_rest() -> None:
    """A bad name, a taken one, a repeated one, a broken import and no factory are left out, each with its cause."""
    points = [
        EntryPoint("fine", "sklearn.linear_model:PoissonRegressor", GROUP),
        EntryPoint("fine", "sklearn.linear_model:Ridge", GROUP),
        EntryPoint("btyd", "sklearn.linear_model:Ridge", GROUP),
        EntryPoint("Not A Name", "sklearn.linear_model:Ridge", GROUP),
        EntryPoint("gone", "no_such_package:Model", GROUP),
        EntryPoint("number", "math:pi", GROUP),
    ]
    events: list[SwitchedOff] = []
    found = discover(events.append, installed=points)
    assert [(one.name, one.factory) for one in found] == [("fine", PoissonRegressor)]
    assert {event.name for event in events} == {"fine", "btyd", "Not A Name", "gone", "number"}
    assert {event.stage for event in events} == {"discover"}


def test_nothing_is_installed_by_default() -> None:
    """The product itself offers none, and taken names are its own."""
    assert discover(lambda event: pytest.fail(str(event))) == []
    assert {"btyd", "online", "ensemble", "naive", *LEADING, *TRAILING, "actual"} <= RESERVED_NAMES


def test_the_example_package_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    """examples/custom_model is found by its entry point, learns that silent customers return less, and exports."""
    monkeypatch.syspath_prepend(ROOT / "examples" / "custom_model")
    monkeypatch.delitem(sys.modules, "silence_steps", raising=False)
    text = (ROOT / "examples" / "custom_model" / "pyproject.toml").read_text(encoding="utf-8")
    assert 'silence-steps = "silence_steps:silence_steps"' in text
    events: list[SwitchedOff] = []
    (found,) = discover(events.append, installed=[EntryPoint("silence-steps", "silence_steps:silence_steps", GROUP)])
    silence = FEATURES[:, FEATURE_INDEX["days_since_last_order"]]
    said = asked(CustomModel(found, events.append).fit(ROWS, np.where(silence < np.median(silence), 2.0, 0.0), WEIGHT))
    assert events == []
    assert said[np.argmin(silence)] > 1.5 * said[np.argmax(silence)]
    assert len(INPUT_NAMES) == ROWS.shape[1]
