"""A worker's scores in a replay are the back-test's predictions: one code path, to the last bit."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np
import pytest

from backtest.partition import MemoryPartition
from cli.topology import Topology
from clv.events import parse_time_ms
from clv.outcomes import Score
from clv.rules import Rules
from clv.segments import Policies
from clv.settings import Settings
from clv.testing import ConstantScorer
from clv.topics import ORDERS, SCORES
from clv.verdicts import Judgement
from models.ensemble import Ensemble
from models.scorer import SnapshotScorer
from models.snapshot import ScorerSnapshot
from storage.artifacts import get_artifact, newest_artifacts
from streams.policies import SCORER_NAME
from tests.acceptance.outputs import read_topic
from tests.acceptance.processes import has_learned, running, wait_until
from tests.acceptance.totals import write_sample

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from storage.engine import Database

pytestmark = [pytest.mark.embedded, pytest.mark.slow]

SETTINGS = Settings(partitions=2)


class Said(NamedTuple):
    """What was said of a customer: money as it is given out, and each model's own answer."""

    clv: int
    lower: int
    upper: int
    year: int
    churn_probability: float
    models: tuple[float, float, float, float]


def test_the_worker_s_scores_are_the_back_test_s(tmp_path: Path) -> None:
    """Every score at an order, of two partitions and a year and a half, told again from the order topic.

    The back-test's partition takes the same records, its features of the score's moment go to the very version that the
    score names, loaded from the store; all numbers must be equal.
    """
    settings = Settings(data_dir=tmp_path / "data", partitions=2)
    log = write_sample(tmp_path / "log.csv", ending="3")
    with Topology(settings) as topology, running(settings, "replay", str(log)) as replay:
        replay.finish(seconds=240)
        wait_until(lambda: has_learned(topology, topology.connected()), seconds=90, what="everything is learned")
        connected = topology.connected()
        scores = [msgspec.json.decode(record.value, type=Score) for record in read_topic(connected, SCORES)]
        given = {score.cause: score for score in scores if score.reason == "order"}
        scorers = Scorers(topology.database)
        versions: Counter[str] = Counter()
        for cause, features in features_at_orders(connected, given):
            score = given.pop(cause)
            versions[score.models.scorer] += 1
            assert scorers.say(score, features) == as_said(score), score
    assert given == {}
    assert versions[""] > 100, "some were scored before there was a model"
    assert len(versions) > 20
    assert sum(versions.values()) > 5_000


def features_at_orders(settings: Settings, given: dict[str, Score]) -> Iterator[tuple[str, tuple[float, ...]]]:
    """Yield each order's event id, and its customer's features as of its score, from the order topic alone."""
    judgement = Judgement(ConstantScorer(), Policies([]), Rules.from_settings(settings))
    partitions = {number: MemoryPartition() for number in range(settings.partitions)}
    for record in read_topic(settings, ORDERS):
        partition = partitions[record.partition]
        for outcome in partition.feed([(record.key, record.value)], judgement):
            if isinstance(outcome, Score) and outcome.reason == "order":
                as_of_ms = parse_time_ms(given[outcome.cause].as_of)
                features = partition.features(outcome.customer_id, as_of_ms)
                assert features is not None
                yield outcome.cause, features


class Scorers:
    """Published versions, each alone, as the store has them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        stored = newest_artifacts(database, SCORER_NAME, up_to_version="~", limit=10_000)
        self._digests = {entry.version: entry.digest for entry in stored}
        self._scorers: dict[str, SnapshotScorer] = {"": SnapshotScorer(SETTINGS.horizon_days)}

    def say(self, score: Score, features: tuple[float, ...]) -> Said:
        """Return what the version that a score names says of features at its moment."""
        version = score.models.scorer
        if version not in self._scorers:
            self._scorers[version] = self._load(version)
        moments = np.array([parse_time_ms(score.as_of)], dtype=np.int64)
        batch = self._scorers[version].score(np.array([features]), moments)
        return Said(
            int(np.rint(batch.clv[0])),
            int(np.rint(batch.lower[0])),
            int(np.rint(batch.upper[0])),
            int(np.rint(batch.clv_year[0])),
            float(batch.churn_probability[0]),
            (float(batch.btyd[0]), float(batch.glm[0]), float(batch.online[0]), float(batch.ensemble[0])),
        )

    def _load(self, version: str) -> SnapshotScorer:
        snapshot = ScorerSnapshot.from_bytes(get_artifact(self._database, self._digests[version]))
        digest = snapshot.ensemble_digest
        ensemble = Ensemble(get_artifact(self._database, digest), digest) if digest else None
        return SnapshotScorer(SETTINGS.horizon_days).add(snapshot, ensemble)


def as_said(score: Score) -> Said:
    """Return what a score on the topic says."""
    models = (score.btyd_minor, score.glm_minor, score.online_minor, score.ensemble_minor)
    return Said(
        score.clv_minor,
        score.clv_lower_minor,
        score.clv_upper_minor,
        score.clv_year_minor,
        score.churn_probability,
        models,
    )
