"""Estimators of others: found, asked in one way, and switched off as soon as they are unsound."""

from __future__ import annotations

import sys
import time
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sklearn.linear_model import PoissonRegressor

from clv.features import FEATURE_INDEX
from models.custom import GROUP, RESERVED_NAMES, CustomModel, Found, SwitchedOff, discover
from models.relative import INPUT_NAMES, MAX_RATIO, unit_minor
from models.relative import ratio as relative_ratio
from tests.conftest import ROOT
from tests.unit.models.histories import feature_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from clv.ports import Floats

FEATURES = feature_rows(300)
UNIT = unit_minor(FEATURES, np.full(300, 2_000.0))
VALUE = np.random.default_rng(0).gamma(0.5, 4_000.0, 300)


class Constant:
    """Predicts what it is told to, and remembers what it was given."""

    def __init__(self, says: Callable[[Floats], Any]) -> None:
        self._says = says
        self.seen: list[Floats] = []

    def fit(self, X: Floats, y: Floats, sample_weight: Floats) -> None:  # noqa: N803  # scikit-learn's name
        """Remember and spoil the arrays."""
        self.seen = [X.copy(), y.copy(), sample_weight.copy()]
        X[:] = np.nan

    def predict(self, X: Floats) -> Any:  # noqa: N803  # scikit-learn's name
        """Say it, and spoil the array."""
        said = self._says(X)
        X[:] = np.nan
        return said


def _model(factory: Callable[[], Any], **options: Any) -> tuple[CustomModel, list[SwitchedOff]]:
    events: list[SwitchedOff] = []
    return CustomModel(Found("mine", "", factory), events.append, **options), events


def _raise(error: BaseException) -> Any:
    raise error


def test_it_learns_ratios_and_answers_in_money() -> None:
    """X has a column an input, in logs; y is the ratio to the unit; a ratio of 2 is twice the unit."""
    estimator = Constant(lambda rows: np.full(len(rows), 2.0))
    model, events = _model(lambda: estimator)
    model.fit(FEATURES, UNIT, VALUE)
    rows, ratio, weight = estimator.seen
    assert rows.shape == (300, len(INPUT_NAMES))
    orders = INPUT_NAMES.index("order_count")
    assert rows[:, orders] == pytest.approx(np.log1p(FEATURES[:, FEATURE_INDEX["order_count"]]))
    assert np.expm1(rows[:, -1]) == pytest.approx(UNIT)
    assert ratio == pytest.approx(relative_ratio(VALUE, UNIT, FEATURES))
    assert (weight > 0).all()
    assert model.predict_minor(FEATURES, UNIT) == pytest.approx(2 * UNIT)
    assert events == []


def test_a_regressor_of_scikit_learn_fits_the_port() -> None:
    """Out of the box, without an adapter of the user's own."""
    model, events = _model(lambda: PoissonRegressor(max_iter=300))
    model.fit(FEATURES, UNIT, VALUE)
    said = model.predict_minor(FEATURES, UNIT)
    assert events == []
    assert said.sum() == pytest.approx(np.minimum(VALUE, MAX_RATIO * UNIT).sum(), rel=0.2)


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
    "order": ("predict", "rows beside it", lambda: Constant(lambda rows: np.arange(len(rows)) + 1.0)),
}


@pytest.mark.parametrize("name", UNSOUND)
def test_an_unsound_estimator_is_switched_off(name: str) -> None:
    """One event with stage and cause on one line; it answers nothing, and is not asked again."""
    stage, cause, factory = UNSOUND[name]
    model, events = _model(factory)
    for _ in range(2):
        model.fit(FEATURES, UNIT, VALUE)
        assert model.predict_minor(FEATURES, UNIT).tolist() == [0.0] * 300
    assert [(event.name, event.stage) for event in events] == [("mine", stage)]
    assert cause in events[0].problem
    assert "\n" not in events[0].problem
    assert not model.is_answering


def test_one_that_fails_later_is_switched_off_then() -> None:
    """Sound while it was probed, unsound in use: the rows of that call get no answer, and nobody else is harmed."""
    rows_at_once = 200
    model, events = _model(lambda: Constant(lambda rows: np.ones(len(rows)) if len(rows) < rows_at_once else None))
    model.fit(FEATURES, UNIT, VALUE)
    assert (model.predict_minor(FEATURES[:100], UNIT[:100]) > 0).all()
    assert model.predict_minor(FEATURES, UNIT).tolist() == [0.0] * 300
    assert [event.stage for event in events] == ["predict"]


def test_predictions_are_bounded() -> None:
    """Negative and absurd ratios are clipped: no stranger's outburst reaches a figure."""
    model, events = _model(lambda: Constant(lambda rows: np.where(rows[:, -1] > np.median(UNIT), -5.0, 1e300)))
    model.fit(FEATURES, UNIT, VALUE)
    said = model.predict_minor(FEATURES, UNIT)
    assert (said > 0).all()
    assert (said <= MAX_RATIO * UNIT).all()
    assert events == []


def test_a_fit_that_takes_too_long_is_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """It cannot be interrupted, but it is not repeated."""
    moments = iter([0.0, 121.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(moments))
    model, events = _model(lambda: Constant(lambda rows: np.ones(len(rows))))
    model.fit(FEATURES, UNIT, VALUE)
    assert "took 121 s" in events[0].problem
    assert not model.is_answering


def test_ctrl_c_still_stops() -> None:
    """Only the estimator's own failures are kept in."""
    model, _ = _model(lambda: _raise(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        model.fit(FEATURES, UNIT, VALUE)


def test_nothing_to_learn_is_no_failure() -> None:
    """Before any example has matured the model is neither fitted nor switched off."""
    model, events = _model(lambda: _raise(AssertionError("asked")))
    model.fit(FEATURES[:0], UNIT[:0], VALUE[:0])
    assert (events, model.is_answering, model.switched_off) == ([], False, None)


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
    assert {"btyd", "online", "ensemble", "naive"} <= RESERVED_NAMES


def test_the_example_package_competes(monkeypatch: pytest.MonkeyPatch) -> None:
    """examples/custom_model is found by its entry point, learns that silent customers return less, and stays sound."""
    monkeypatch.syspath_prepend(ROOT / "examples" / "custom_model")
    monkeypatch.delitem(sys.modules, "silence_steps", raising=False)
    text = (ROOT / "examples" / "custom_model" / "pyproject.toml").read_text(encoding="utf-8")
    assert 'silence-steps = "silence_steps:SilenceSteps"' in text
    events: list[SwitchedOff] = []
    (found,) = discover(events.append, installed=[EntryPoint("silence-steps", "silence_steps:SilenceSteps", GROUP)])
    model = CustomModel(found, events.append)
    silence = FEATURES[:, FEATURE_INDEX["days_since_last_order"]]
    model.fit(FEATURES, UNIT, UNIT * (silence < np.median(silence)) * 2.0)
    ratio = model.predict_minor(FEATURES, UNIT) / UNIT
    assert events == []
    assert ratio[np.argmin(silence)] > 1.5 * ratio[np.argmax(silence)]
