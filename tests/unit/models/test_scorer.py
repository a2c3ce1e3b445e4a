"""The scorer: which snapshot answers which row, and what the batch says."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from clv.errors import FeatureMismatch, IncompatibleArtifact
from clv.features import FEATURE_INDEX, FEATURE_NAMES
from models.bgnbd import TYPICAL
from models.btyd import BtydParams
from models.gamma_gamma import GammaGammaParams
from models.scorer import SnapshotScorer
from models.snapshot import ScorerSnapshot
from tests.unit.models.histories import DAY_MS, START_MS, feature_rows


def snapshot(sequence: int, learned_through_ms: int, population_minor: float = 4_000.0) -> ScorerSnapshot:
    """Return a snapshot of a base alone."""
    base = BtydParams(TYPICAL, GammaGammaParams(1.0, 2.0, population_minor), 1_000, 300)
    weights = {"btyd": 1.0}
    return ScorerSnapshot(sequence, learned_through_ms, 90, btyd=base, champion="btyd", weights=weights).named()


def test_each_row_gets_the_newest_snapshot_it_may_see() -> None:
    """Learnt through exactly the row's moment is allowed; a millisecond later is not; before all, the prior."""
    scorer = SnapshotScorer(90).add(snapshot(2, START_MS + 100)).add(snapshot(1, START_MS))
    moments = START_MS + np.array([-1, 0, 99, 100, 5_000], dtype=np.int64)
    batch = scorer.score(feature_rows(5), moments)
    answered = [batch.versions[position].scorer[:6] for position in batch.version]
    assert answered == ["", "000001", "000001", "000002", "000002"]
    assert batch.has_minimum_data.tolist() == [False, True, True, True, True]
    assert batch.btyd[0] == 0.0
    assert batch.versions[0].champion == "prior"


def test_rows_see_their_own_snapshot_only() -> None:
    """A row's answer is the same whether its snapshot is held alone or beside newer ones."""
    older, newer = snapshot(1, START_MS), snapshot(2, START_MS + DAY_MS, population_minor=90_000.0)
    rows, moments = feature_rows(40), np.full(40, START_MS + 5, dtype=np.int64)
    alone = SnapshotScorer(90).add(older).score(rows, moments)
    beside = SnapshotScorer(90).add(older).add(newer).score(rows, moments)
    assert beside.clv.tolist() == alone.clv.tolist()


def test_adding_leaves_the_scorer_as_it_was() -> None:
    """A scorer in use does not change under its worker's hands; only the newest are kept."""
    scorer = SnapshotScorer(90, kept=2).add(snapshot(1, START_MS))
    grown = scorer.add(snapshot(2, START_MS + 1)).add(snapshot(3, START_MS + 2)).add(snapshot(3, START_MS + 2))
    assert [held.sequence for held in scorer.snapshots] == [1]
    assert [held.sequence for held in grown.snapshots] == [2, 3]


def test_customers_without_a_purchase_have_no_minimum_of_data() -> None:
    """A customer who has bought nothing of value is scored, and marked."""
    rows = feature_rows(2)
    rows[1] = 0.0
    batch = SnapshotScorer(90).add(snapshot(1, START_MS)).score(rows, np.full(2, START_MS, dtype=np.int64))
    assert batch.has_minimum_data.tolist() == [True, False]


def test_next_order_is_in_the_future_or_absent() -> None:
    """The expected next order lies after the moment and within two years, or is −1."""
    moments = np.full(300, START_MS, dtype=np.int64)
    expected = SnapshotScorer(90).add(snapshot(1, START_MS)).score(feature_rows(300), moments).next_order_ms
    assert (expected == -1).any()
    assert ((expected == -1) | ((expected > START_MS) & (expected <= START_MS + 731 * DAY_MS))).all()


def test_churn_grows_with_silence() -> None:
    """The same purchases, longer ago: a higher churn probability, a lower value."""
    rows = np.repeat(feature_rows(1), 3, axis=0)
    for name, values in {
        "repeat_purchase_count": (5, 5, 5),
        "last_purchase_age_days": (100, 100, 100),
        "customer_age_days": (110, 200, 400),
    }.items():
        rows[:, FEATURE_INDEX[name]] = values
    batch = SnapshotScorer(90).add(snapshot(1, START_MS)).score(rows, np.full(3, START_MS, dtype=np.int64))
    assert (np.diff(batch.churn_probability) > 0).all()
    assert (np.diff(batch.clv) < 0).all()


def test_snapshots_that_do_not_fit_are_refused() -> None:
    """Other features, another horizon, a missing ensemble: refused by name, and nothing is added."""
    given = snapshot(1, START_MS)
    for change, error in (
        ({"feature_digest": "other"}, FeatureMismatch),
        ({"horizon_days": 30}, FeatureMismatch),
        ({"ensemble_digest": "absent"}, IncompatibleArtifact),
    ):
        with pytest.raises(error):
            SnapshotScorer(90).add(msgspec.structs.replace(given, **change))


def test_an_empty_batch_is_scored() -> None:
    """No rows give a batch of no rows."""
    assert len(SnapshotScorer(90).score(np.zeros((0, len(FEATURE_NAMES))), np.zeros(0, dtype=np.int64)).clv) == 0
