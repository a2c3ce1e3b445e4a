"""Why a score is what it is: amounts that add up, and go to whom they belong."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest

from clv.errors import FeatureMismatch
from clv.features import FEATURE_INDEX, FEATURE_NAMES
from clv.outcomes import ModelVersions
from clv.ports import ScoreBatch
from clv.windows import Windows
from models import btyd
from models.ensemble import Ensemble
from models.explain import BATCH_ROWS, Explanation, explain, explain_many
from models.hybrids import GROUP_NAMES
from models.reference import PRIOR_TYPICAL
from models.scorer import SnapshotScorer
from models.snapshot import BLEND, MEMBERS
from models.training import Learner
from tests.unit.models.histories import START_MS, absurd_rows, example, example_arrays, feature_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from clv.ports import Floats, Ints


class HandMade:
    """Scores by a formula over feature columns; everyone's reference is the same."""

    def __init__(self, formula: Callable[[dict[str, Floats]], Floats], reference: tuple[float, ...]) -> None:
        self._formula = formula
        self._reference = reference
        self.row_counts: list[int] = []

    def reference_at(self, as_of_ms: int) -> tuple[float, ...]:
        """Return the reference."""
        return self._reference

    def score(self, features: Floats, as_of_ms: Ints) -> ScoreBatch:
        """Score by the formula."""
        self.row_counts.append(len(features))
        clv = self._formula({name: features[:, place] for name, place in FEATURE_INDEX.items()})
        whole = np.zeros(len(features), dtype=np.int64)
        others = ("lower", "upper", "clv_year", "churn_probability", "btyd", "glm", "online", "ensemble", "naive")
        floats: dict[str, Any] = dict.fromkeys(others, clv)
        return ScoreBatch(
            clv=clv,
            **floats,
            next_order_ms=whole,
            version=whole,
            versions=(ModelVersions(scorer="hand-made"),),
            has_minimum_data=whole == 0,
        )


@cache
def learned() -> SnapshotScorer:
    """Return a scorer with all members, blended, and a reference."""
    learner, examples = Learner(90), example_arrays(800)
    count = len(examples.as_of_ms)
    learner.refit_btyd(btyd.histories_of(examples.features))
    numbers = np.arange(count, dtype=np.int64)
    learner.refit_glm(Windows(*examples[::2], np.full(count, 90.0), examples.value_minor, numbers), START_MS)
    for row, value in zip(examples.features, examples.value_minor, strict=True):
        learner.learn(example(row, value, clv=2_500.0, btyd=2_500.0, naive=2_600.0))
    ensemble = Ensemble(learner.refit_ensemble(examples))
    snapshot = learner.snapshot(START_MS)
    assert None not in (snapshot.glm, snapshot.online)
    weights = dict.fromkeys(MEMBERS, 1.0 / len(MEMBERS))
    snapshot = msgspec.structs.replace(snapshot, champion=BLEND, weights=weights).named()
    return SnapshotScorer(90).add(snapshot, ensemble)


def unlearned() -> SnapshotScorer:
    """Return a scorer before any snapshot."""
    return SnapshotScorer(90)


each_scorer = pytest.mark.parametrize("build", [learned, unlearned], ids=lambda build: build.__name__)


def moments(count: int) -> Ints:
    """Return so many moments after the snapshot."""
    return np.full(count, START_MS + 1, dtype=np.int64)


def row(**values: float) -> tuple[float, ...]:
    """Return a feature row, 0 but for some."""
    return tuple(float(values.get(name, 0.0)) for name in FEATURE_NAMES)


@each_scorer
def test_contributions_sum_to_score_less_base(build: Callable[[], SnapshotScorer]) -> None:
    """For usual and absurd rows; score and base are the scorer's own, to the last bit."""
    scorer, rows = build(), np.vstack([feature_rows(40), absurd_rows()])
    reference = np.array([scorer.reference_at(START_MS + 1) or PRIOR_TYPICAL])
    scores, base = scorer.score(rows, moments(len(rows))).clv, scorer.score(reference, moments(1)).clv[0]
    found = list(explain_many(scorer, rows, moments(len(rows))))
    assert [each.score_minor for each in found] == scores.tolist()
    assert {each.base_minor for each in found} == {base}
    for each in found:
        assert tuple(each.contributions) == GROUP_NAMES
        assert np.isfinite(list(each.contributions.values())).all()
        scale = max(each.score_minor, each.base_minor, *map(abs, each.contributions.values()))
        assert sum(each.contributions.values()) == pytest.approx(each.score_minor - each.base_minor, abs=1e-12 * scale)


@each_scorer
def test_an_explanation_depends_on_its_row_alone(build: Callable[[], SnapshotScorer]) -> None:
    """Alone, among others and the second time it is the same, bit for bit."""
    scorer, rows = build(), feature_rows(BATCH_ROWS + 9)
    together = list(explain_many(scorer, rows, moments(len(rows))))
    assert list(explain_many(scorer, rows[::-1], moments(len(rows))))[::-1] == together
    assert [explain(scorer, each, START_MS + 1) for each in rows] == together


@each_scorer
def test_the_typical_customer_has_nothing_to_explain(build: Callable[[], SnapshotScorer]) -> None:
    """Its score is the base."""
    scorer = build()
    found = explain(scorer, np.array(scorer.reference_at(START_MS + 1) or PRIOR_TYPICAL), START_MS + 1)
    assert found.score_minor == found.base_minor
    assert set(found.contributions.values()) == {0.0}


def test_each_row_is_explained_by_the_models_that_score_it() -> None:
    """Before the snapshot the prior and its typical customer, after it the snapshot's."""
    rows = feature_rows(2)
    before, after = explain_many(learned(), rows, np.array([START_MS - 1, START_MS], dtype=np.int64))
    assert before == explain(unlearned(), rows[0], START_MS)
    assert (before.versions.champion, after.versions.champion) == ("prior", "blend")
    assert after.versions == learned().snapshots[0].model_versions


@pytest.mark.parametrize("build", [learned, unlearned], ids=lambda build: build.__name__)
@pytest.mark.parametrize(
    ("group", "names"),
    [
        ("silence", ("days_since_last_order",)),
        ("value", ("mean_purchase_value_minor", "first_purchase_value_minor", "last_purchase_value_minor")),
        ("refunds", ("return_rate",)),
        ("email", ("email_sent_count", "email_open_rate", "email_click_rate")),
        ("acquisition", ("acquisition_cost_minor", "has_acquisition", "source_code", "campaign_code")),
        ("category", ("category_count", "category_code")),
    ],
)
def test_a_group_that_is_typical_contributes_nothing(
    build: Callable[[], SnapshotScorer], group: str, names: tuple[str, ...]
) -> None:
    """Exactly 0, however untypical the customer is otherwise."""
    scorer = build()
    reference = dict(zip(FEATURE_NAMES, scorer.reference_at(START_MS + 1) or PRIOR_TYPICAL, strict=True))
    silence = reference["customer_age_days"] - reference["last_purchase_age_days"]
    repeats = reference["repeat_purchase_count"]
    values = {name: 0.3 * reference[name] + 2.0 for name in FEATURE_NAMES}
    values |= {"repeat_purchase_count": repeats, "last_purchase_age_days": repeats * 8.0, "mean_gap_days": 8.0}
    values |= {name: reference[name] for name in names}
    if group == "silence":
        values["customer_age_days"] = values["last_purchase_age_days"] + silence
    if group == "value":
        values |= {name: reference[name] for name in ("mean_repeat_value_minor", "revenue_minor", "value_cv")}
    found = explain(scorer, np.array(row(**values)), START_MS + 1)
    assert found.contributions[group] == 0.0
    assert found.score_minor != found.base_minor


def test_an_additive_scorer_gives_each_group_its_own_addend() -> None:
    """Weights times differences, whatever the order of the groups."""
    weights = {"return_rate": -500.0, "email_sent_count": 7.0, "category_count": 40.0, "days_since_last_order": -3.0}
    scorer = HandMade(
        lambda columns: sum((weight * columns[name] for name, weight in weights.items()), np.full(1, 1e4)),
        row(return_rate=0.1, email_sent_count=4, category_count=2, days_since_last_order=30),
    )
    own = row(return_rate=0.5, email_sent_count=10, category_count=1, days_since_last_order=10)
    found = explain(scorer, np.array(own), START_MS)
    given = {"silence": 60.0, "refunds": -200.0, "email": 42.0, "category": -40.0}
    assert found.contributions == pytest.approx(dict.fromkeys(GROUP_NAMES, 0.0) | given)
    assert found.versions.scorer == "hand-made"


def test_a_multiplicative_scorer_shares_what_only_both_bring() -> None:
    """Of a product of three, each factor gets its step times what the others are on average over all orders."""
    scorer = HandMade(
        lambda columns: columns["email_sent_count"] * columns["category_count"] * columns["return_rate"],
        row(email_sent_count=2, category_count=3, return_rate=0.5),
    )
    found = explain(scorer, np.array(row(email_sent_count=5, category_count=7, return_rate=1.0)), START_MS)
    # E.g. email: 3 × (3 × .5 / 3 + 7 × .5 / 6 + 3 × 1 / 6 + 7 × 1 / 3).
    expected = {"email": 3 * (1.5 / 3 + 3.5 / 6 + 3 / 6 + 7 / 3)}
    expected["category"] = 4 * (1.0 / 3 + 2.5 / 6 + 2.0 / 6 + 5.0 / 3)
    expected["refunds"] = 0.5 * (6 / 3 + 15 / 6 + 14 / 6 + 35 / 3)
    assert found.contributions == pytest.approx(dict.fromkeys(GROUP_NAMES, 0.0) | expected)
    assert found.contributions["history"] == 0.0


def test_groups_that_do_the_same_get_the_same() -> None:
    """Symmetry, and a group that does more gets more."""
    scorer = HandMade(
        lambda columns: np.sqrt(columns["email_sent_count"] + columns["category_count"] + columns["return_rate"]), row()
    )
    found = explain(scorer, np.array(row(email_sent_count=4, category_count=4, return_rate=1.0)), START_MS)
    assert found.contributions["email"] == pytest.approx(found.contributions["category"], rel=1e-12)
    assert found.contributions["email"] > found.contributions["refunds"] > 0.0


def test_more_silence_never_helps_and_more_value_never_hurts() -> None:
    """With the prior, which falls with silence and grows with value, their contributions do so too."""
    rows = np.tile(feature_rows(30)[[12]], (6, 1))
    silent, rich = rows.copy(), rows.copy()
    for name in ("customer_age_days", "days_since_last_order"):
        silent[:, FEATURE_INDEX[name]] += 60.0 * np.arange(6)
    for name in FEATURE_NAMES:
        if name.endswith("_minor") and "cost" not in name:
            rich[:, FEATURE_INDEX[name]] *= 1.0 + np.arange(6)
    by_silence = [each.contributions["silence"] for each in explain_many(unlearned(), silent, moments(6))]
    by_value = [each.contributions["value"] for each in explain_many(unlearned(), rich, moments(6))]
    assert sorted(by_silence, reverse=True) == by_silence
    assert sorted(by_value) == by_value
    assert by_silence[0] > by_silence[-1]
    assert by_value[0] < by_value[-1]


def test_batches_are_bounded() -> None:
    """However many customers, the scorer gets so many rows at once, and none before they are asked for."""
    scorer = HandMade(lambda columns: columns["category_count"] * 1.0, ())
    count = 2 * BATCH_ROWS + 3
    found = explain_many(scorer, np.zeros((count, len(FEATURE_NAMES))), moments(count))
    assert scorer.row_counts == []
    assert len(list(found)) == count
    coalitions = 2 ** len(GROUP_NAMES)
    assert scorer.row_counts == [BATCH_ROWS * coalitions, BATCH_ROWS * coalitions, 3 * coalitions]
    assert list(explain_many(scorer, np.zeros((0, len(FEATURE_NAMES))), moments(0))) == []


def test_an_equal_history_contributes_nothing_but_rounding() -> None:
    """The same purchases, as long ago as never before: all is the silence's."""
    reference = dict(zip(FEATURE_NAMES, learned().reference_at(START_MS + 1), strict=True))
    reference |= {f"recent_purchases_{days}d": 1.5 for days in (30, 60, 120)}
    later = reference | {f"recent_purchases_{days}d": 1.5 * 2.0 ** (-77 / days) for days in (30, 60, 120)}
    for name in ("customer_age_days", "days_since_last_order"):
        later[name] += 77.0
    silence = later["customer_age_days"] - later["last_purchase_age_days"]
    later["recency_ratio"] = silence / later["mean_gap_days"] if later["mean_gap_days"] else 0.0
    snapshot = msgspec.structs.replace(learned().snapshots[0], reference=row(**reference), ensemble_digest="")
    snapshot = msgspec.structs.replace(snapshot, champion="glm")
    found = explain(SnapshotScorer(90).add(snapshot.named()), np.array(row(**later)), START_MS + 1)
    assert found.contributions["history"] == pytest.approx(0.0, abs=1e-8)
    assert found.contributions["silence"] == pytest.approx(found.score_minor - found.base_minor)
    assert found.contributions["silence"] < -1.0


def test_rows_of_another_shape_are_refused() -> None:
    """At once, not when the first explanation is taken."""
    with pytest.raises(FeatureMismatch, match="shape"):
        explain_many(unlearned(), np.zeros((2, 5)), moments(2))


def test_whole_amounts_sum_exactly() -> None:
    """In whole minor units, to the rounded score less the rounded base; each within a unit."""
    for found in explain_many(learned(), feature_rows(60), moments(60)):
        whole = found.in_whole_minor()
        assert sum(whole.values()) == round(found.score_minor) - round(found.base_minor)
        assert list(whole.values()) == pytest.approx(list(found.contributions.values()), abs=1.0 + 1e-6)
    assert Explanation(1.0, 1.0, {}, ModelVersions()).in_whole_minor() == {}
