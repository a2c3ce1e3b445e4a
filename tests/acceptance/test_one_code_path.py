"""The worker's scores are the back-test's predictions: the same models, asked about the same moment, say the same."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np
import pandas as pd
import pytest

from backtest.days import days_of
from backtest.partition import MemoryPartition
from cli.topology import Topology
from clv.events import OrderPlaced, decode_event, parse_time_ms
from clv.outcomes import Score, rfc3339
from clv.published import SCORER_NAME
from clv.rules import Rules
from clv.segments import Policies
from clv.settings import Settings
from clv.topics import ORDERS, SCORES
from clv.verdicts import Judgement
from models.ensemble import Ensemble
from models.scorer import SnapshotScorer
from models.snapshot import BLEND, ScorerSnapshot
from producers.encode import encode_event, key_of, tick_event
from producers.orderlog import LogOptions, read_order_log
from storage.artifacts import get_artifact, newest_artifacts
from tests.acceptance.outputs import read_topic
from tests.acceptance.processes import has_learned, wait_until
from tests.acceptance.sending import Sent, send
from tests.acceptance.totals import CDNOW

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from backtest.days import Day
    from clv.ports import ScoreBatch
    from storage.engine import Database

RULES = Rules()
STRETCH_DAYS = 14


class Moment(NamedTuple):
    """A score that the worker gave out, and the customer's features as the back-test's partition has them then."""

    score: Score
    features: tuple[float, ...]


@pytest.mark.embedded
@pytest.mark.slow
def test_every_score_of_a_replay_is_what_the_back_test_predicts(tmp_path: Path) -> None:
    """Each score, worked out anew from the stored snapshot that it names, is the same to the last bit of every member.

    Three hundred CDNOW customers over nine months and two partitions, with refits, ensembles and a blend on the way.
    """
    settings = Settings(data_dir=tmp_path / "data", partitions=2)
    log = _slice(tmp_path / "log.csv", customers=300, before="1997-10-01")
    with Topology(settings) as topology:
        for days in _stretches(log):
            send(topology.connected(), _records(days, settings.partitions))
            what = f"all roles have come to day {days[-1].number}"
            wait_until(lambda: has_learned(topology, settings), seconds=60, what=what)
        moments = list(_moments(topology.connected()))
        scorers = _Scorers(topology.database)
        wrong = [moment.score for moment in moments if _said(moment.score) != _predicted(moment, scorers)]
    assert wrong == []
    scores = [moment.score for moment in moments]
    reasons = Counter(score.reason for score in scores)
    assert (reasons["order"], reasons["silence"] > 300) == (len(pd.read_csv(log)), True)
    champions = Counter(score.models.champion for score in scores)
    assert min(champions["prior"], champions["btyd"]) > 50
    assert champions[BLEND] > 500
    assert len({score.models.scorer for score in scores}) > 10
    assert len({score.models.ensemble for score in scores}) > 3


def _slice(path: Path, *, customers: int, before: str) -> Path:
    """Write what every so-many-th customer of CDNOW ordered before a date."""
    rows = pd.read_csv(CDNOW, dtype=str)
    rows = rows[rows["date"] < before]
    names = sorted(rows["customer_id"].unique())
    chosen = set(names[:: len(names) // customers][:customers])
    rows[rows["customer_id"].isin(chosen)].to_csv(path, index=False)
    return path


def _stretches(log: Path) -> Iterator[list[Day]]:
    """Cut a log into stretches of days, so that models are there before what they are to score."""
    days = list(days_of(read_order_log(log, LogOptions())))
    return (days[start : start + STRETCH_DAYS] for start in range(0, len(days), STRETCH_DAYS))


def _records(days: list[Day], partitions: int) -> Iterator[Sent]:
    """Yield what a replay would send: each day's events, and at its end a Tick for every partition."""
    for day in days:
        for event in day.events:
            yield Sent(key_of(event), encode_event(event, currency="USD", digits=2))
        for number in range(partitions):
            yield Sent(None, encode_event(tick_event(number, day.end_ms), currency="USD", digits=2), number)


def _moments(settings: Settings) -> Iterator[Moment]:
    """Feed the orders topic to the back-test's partition, record by record, and meet every score on the way."""
    scores: dict[str, list[Score]] = defaultdict(list)
    for record in read_topic(settings, SCORES):
        score = msgspec.json.decode(record.value, type=Score)
        scores[score.customer_id].append(score)
    partitions = [MemoryPartition() for _ in range(settings.partitions)]
    judgement = Judgement(SnapshotScorer(settings.horizon_days), Policies(), RULES)
    home: dict[str, MemoryPartition] = {}
    for record in read_topic(settings, ORDERS):
        partition = partitions[record.partition]
        event = decode_event(record.value, record.key, currency="USD", digits=2)
        if isinstance(event, OrderPlaced):
            waiting = scores[event.customer_id]
            # Silences that came before this order were scored by what was known before it.
            while waiting and waiting[0].cause != event.event_id:
                yield _met(partition, waiting.pop(0))
            home[event.customer_id] = partition
        partition.feed([(record.key, record.value)], judgement)
        if isinstance(event, OrderPlaced):
            yield _met(partition, scores[event.customer_id].pop(0))
    for customer_id, waiting in scores.items():
        for score in waiting:
            yield _met(home[customer_id], score)


def _met(partition: MemoryPartition, score: Score) -> Moment:
    features = partition.features(score.customer_id, parse_time_ms(score.as_of))
    assert features is not None
    return Moment(score, features)


class _Scorers:
    """A scorer for each version, of the snapshot and the ensemble that SQL holds under its name and nothing else."""

    def __init__(self, database: Database) -> None:
        stored = newest_artifacts(database, SCORER_NAME, up_to_version="~", limit=10_000)
        self._digests = {one.version: one.digest for one in stored}
        self._database = database
        self._made: dict[str, SnapshotScorer] = {}

    def of(self, version: str) -> SnapshotScorer:
        """Return the scorer of a version; empty stands for the prior."""
        if version not in self._made:
            scorer = SnapshotScorer(RULES.horizon_days)
            self._made[version] = self._loaded(scorer, self._digests[version]) if version else scorer
        return self._made[version]

    def _loaded(self, scorer: SnapshotScorer, digest: str) -> SnapshotScorer:
        snapshot = ScorerSnapshot.from_bytes(get_artifact(self._database, digest))
        used = snapshot.ensemble_digest
        return scorer.add(snapshot, Ensemble(get_artifact(self._database, used), used) if used else None)


def _predicted(moment: Moment, scorers: _Scorers) -> tuple[object, ...]:
    as_of_ms = parse_time_ms(moment.score.as_of)
    scorer = scorers.of(moment.score.models.scorer)
    batch = scorer.score(np.array([moment.features]), np.array([as_of_ms], dtype=np.int64))
    assert batch.versions[batch.version[0]].scorer == moment.score.models.scorer
    return _of(batch)


def _of(batch: ScoreBatch) -> tuple[object, ...]:
    return (
        *(int(np.rint(column[0])) for column in (batch.clv, batch.lower, batch.upper, batch.clv_year)),
        *(float(column[0]) for column in (batch.btyd, batch.glm, batch.online, batch.ensemble)),
        float(batch.churn_probability[0]),
        rfc3339(int(batch.next_order_ms[0])),
        batch.versions[batch.version[0]],
    )


def _said(score: Score) -> tuple[object, ...]:
    return (
        *(score.clv_minor, score.clv_lower_minor, score.clv_upper_minor, score.clv_year_minor),
        *(score.btyd_minor, score.glm_minor, score.online_minor, score.ensemble_minor),
        score.churn_probability,
        score.expected_next_order_at,
        msgspec.structs.replace(score.models, policy=""),  # the segments' cut-offs move no value
    )
