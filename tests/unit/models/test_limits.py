"""How much any answer may say."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from clv.features import FEATURE_INDEX, FEATURE_NAMES
from models.btyd import MIN_PREDICTION_MINOR
from models.conformal import VALUE_BINS, IntervalFactors
from models.limits import MOST_TIMES, most_minor
from models.scorer import SnapshotScorer
from models.snapshot import ScorerSnapshot
from models.training import Learner
from tests.unit.models.histories import DAY_MS, START_MS, absurd_rows, example, feature_rows, windows
from tests.unit.models.test_scorer import snapshot


@pytest.mark.parametrize(
    ("revenue_minor", "return_rate", "age_days", "expected"),
    [
        *((900, 0, 0, 900), (900, 0, 89, 900), (900, 0, 90, 450), (900, 0, 899, 90)),
        *((900, 0.5, 0, 450), (900, 1, 0, 50), (0, 0, 10, 50), (60, 0, 10, 60), (60, 0, 100, 50)),
    ],
)
def test_a_customer_has_brought_an_even_share_once(
    revenue_minor: float, return_rate: float, age_days: float, expected: float
) -> None:
    """Of two horizons one has brought half at least; what others have brought counts where it is more."""
    row = np.zeros((1, len(FEATURE_NAMES)))
    own = {"revenue_minor": revenue_minor, "return_rate": return_rate, "customer_age_days": age_days}
    for name, value in own.items():
        row[0, FEATURE_INDEX[name]] = value
    assert most_minor(row, 50.0, horizon_days=90).tolist() == [MOST_TIMES * expected]


def test_where_nobody_has_brought_anything_the_least_may_be_said() -> None:
    """So that an answer is never exactly nothing."""
    assert most_minor(np.zeros((1, len(FEATURE_NAMES))), 0.0, horizon_days=90).tolist() == [MIN_PREDICTION_MINOR]


@pytest.mark.parametrize("seen_minor", [0.5, 2_000.0])
def test_no_answer_and_no_interval_exceeds_it(seen_minor: float) -> None:
    """Whoever answers, with intervals as wide as they can be; the prediction stays inside."""
    wide = IntervalFactors((0.0,) * VALUE_BINS, (4_096.0,) * VALUE_BINS)
    given = msgspec.structs.replace(snapshot(1, START_MS, 1e9), most_minor=seen_minor, intervals=wide).named()
    rows = np.vstack([feature_rows(200), absurd_rows()])
    batch = SnapshotScorer(90, snapshots=[given]).score(rows, np.full(len(rows), START_MS, dtype=np.int64))
    most = most_minor(rows, seen_minor, horizon_days=90)
    for values in (batch.clv, batch.btyd, batch.lower, batch.upper):
        assert (values <= most).all()
    assert ((batch.lower <= batch.clv) & (batch.clv <= batch.upper)).all()
    assert (batch.upper == most).any()


def test_before_any_snapshot_a_customers_own_revenue_bounds_it() -> None:
    """The prior's interval is twelve times its prediction, and the prediction may be three times what was bought."""
    row = np.zeros((1, len(FEATURE_NAMES)))
    busy = {"order_count": 500, "repeat_purchase_count": 80, "last_purchase_age_days": 80, "customer_age_days": 80}
    for name, value in (busy | {"mean_purchase_value_minor": 100, "revenue_minor": 8_100}).items():
        row[0, FEATURE_INDEX[name]] = value
    batch = SnapshotScorer(90).score(row, np.array([START_MS]))
    assert 0.0 < batch.clv[0] <= batch.upper[0] <= MOST_TIMES * 8_100


def test_a_snapshot_of_an_earlier_build_is_read_and_bounds_nothing() -> None:
    """It keeps its name, and answers as it did."""
    old = snapshot(1, START_MS)
    content = msgspec.json.decode(old.to_bytes())
    del content["most_minor"]
    read = ScorerSnapshot.from_bytes(msgspec.json.encode(content))
    assert read == old
    rows = feature_rows(50)
    rows[:, FEATURE_INDEX["revenue_minor"]] = 0.01
    scores = SnapshotScorer(90, snapshots=[read]).score(rows, np.full(50, START_MS, dtype=np.int64))
    assert (scores.clv > MOST_TIMES * 0.01).all()


def test_a_learner_remembers_the_most_that_it_has_seen() -> None:
    """Of labels and windows, for good; before anything was seen, there is a least."""
    learner = Learner(90)
    learner.refit_glm(windows(0), START_MS)
    assert learner.snapshot(START_MS).most_minor == MIN_PREDICTION_MINOR
    learner.learn(example(feature_rows(1)[0], 700.0, clv=1.0, naive=1.0))
    assert learner.snapshot(START_MS).most_minor == 700.0
    seen = windows(150)
    learner.refit_glm(seen, START_MS + 365 * DAY_MS)
    learner.refit_glm(windows(0), START_MS + 366 * DAY_MS)
    again = Learner.from_state(learner.to_state(), horizon_days=90)
    assert again.snapshot(START_MS).most_minor == seen.value_minor.max() > 700.0
