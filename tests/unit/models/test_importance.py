"""What a snapshot looks at: measured by the scorer that answers, the same each time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from clv.features import FEATURE_INDEX, FEATURE_NAMES
from models import btyd
from models.batch import ExampleArrays
from models.ensemble import Ensemble
from models.evaluation import tweedie_deviance
from models.hybrids import GROUP_NAMES, GROUPS
from models.importance import MAX_EXAMPLES, MIN_EXAMPLES, measure
from models.scorer import SnapshotScorer
from models.training import Learner
from tests.unit.models.histories import START_MS, example_arrays
from tests.unit.models.test_scorer import snapshot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.card import Importance
    from models.snapshot import ScorerSnapshot

UNSEEN_BY_BTYD = ("refunds", "email", "acquisition", "category")


def taken(examples: ExampleArrays, rows: Sequence[int]) -> ExampleArrays:
    """Return these examples, in this order."""
    return ExampleArrays(*(column[np.array(rows)] for column in examples))


def of_btyd(examples: ExampleArrays) -> Importance:
    """Measure a base alone."""
    found = measure(snapshot(1, START_MS), None, examples)
    assert found is not None
    return found


def with_ensemble() -> tuple[ScorerSnapshot, Ensemble, ExampleArrays]:
    """Return a snapshot that its ensemble answers for."""
    learner, examples = Learner(90), example_arrays(600)
    learner.refit_btyd(btyd.histories_of(examples.features))
    ensemble = Ensemble(learner.refit_ensemble(examples))
    return msgspec.structs.replace(learner.snapshot(START_MS), champion="ensemble").named(), ensemble, examples


def test_what_the_scorer_does_not_look_at_costs_nothing() -> None:
    """To BTYD attributes are nothing, exactly; without silence and value it is wrong by far more."""
    found = of_btyd(example_arrays(800))
    assert tuple(found.groups) == GROUP_NAMES
    assert tuple(found.features) == FEATURE_NAMES
    assert {name: found.groups[name] for name in UNSEEN_BY_BTYD} == dict.fromkeys(UNSEEN_BY_BTYD, 0.0)
    unseen = [feature for group in UNSEEN_BY_BTYD for feature in GROUPS[group]]
    assert [found.features[feature] for feature in unseen] == [0.0] * len(unseen)
    assert min(found.groups["silence"], found.groups["value"]) > 0.1


def test_a_rise_is_the_scorers_deviance_on_shuffled_examples() -> None:
    """Worked out anew for a feature: one column of the newest examples exchanged, the others as they were."""
    examples = example_arrays(800)
    rows, place = examples.features.copy(), FEATURE_INDEX["mean_purchase_value_minor"]
    scorer, moments = SnapshotScorer(90, snapshots=[snapshot(1, START_MS)]), np.full(800, START_MS, dtype=np.int64)
    usual = tweedie_deviance(examples.value_minor, scorer.score(rows, moments).clv).mean()
    rows[:, place] = rows[np.random.default_rng(0).permutation(800), place]
    shuffled = tweedie_deviance(examples.value_minor, scorer.score(rows, moments).clv).mean()
    found = of_btyd(examples)
    assert (found.version, found.example_count, found.deviance) == (snapshot(1, START_MS).version, 800, usual)
    assert found.features["mean_purchase_value_minor"] == shuffled / usual - 1.0 > 0.0


def test_the_newest_examples_count_in_whatever_order_they_come() -> None:
    """Older ones, and the order, change nothing."""
    examples = example_arrays(MAX_EXAMPLES + 300)
    expected = of_btyd(examples)
    assert expected.example_count == MAX_EXAMPLES
    mixed = np.random.default_rng(5).permutation(len(examples.as_of_ms))
    assert of_btyd(taken(examples, mixed.tolist())) == expected
    assert of_btyd(taken(examples, range(300, MAX_EXAMPLES + 300))) == expected


@pytest.mark.parametrize(("count", "is_measured"), [(MIN_EXAMPLES - 1, False), (MIN_EXAMPLES, True)])
def test_few_examples_say_nothing(count: int, *, is_measured: bool) -> None:
    """Below the minimum nothing is measured."""
    assert (measure(snapshot(1, START_MS), None, example_arrays(count)) is not None) == is_measured


def test_the_ensemble_is_asked_where_it_answers() -> None:
    """The usual deviance is that of the ensemble's own answers, and what it alone looks at counts."""
    given, ensemble, examples = with_ensemble()
    found = measure(given, ensemble, examples)
    assert found is not None
    scorer = SnapshotScorer(90, snapshots=[given], ensembles=[ensemble])
    answers = scorer.score(examples.features, np.full(600, START_MS, dtype=np.int64)).ensemble
    assert found.deviance == tweedie_deviance(examples.value_minor, answers).mean()
    assert found.features["revenue_minor"] != 0.0


def test_a_learner_keeps_what_was_measured() -> None:
    """It survives storing; too few examples leave it as it was."""
    given, ensemble, examples = with_ensemble()
    learner = Learner(90)
    assert learner.feature_importance() is None
    learner.measure_importance(given, ensemble, examples)
    measured = learner.feature_importance()
    assert measured == measure(given, ensemble, examples)
    learner.measure_importance(given, ensemble, taken(examples, range(5)))
    assert Learner.from_state(learner.to_state(), horizon_days=90).feature_importance() == measured
