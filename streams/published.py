"""Published models as the worker sees them: announced on ``clv.models.v1``, loaded from SQL, digest-checked.

What was the newest at a sequence number can be had again, so that records repeated after a crash are scored by the
very models that scored them first.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer

from clv.outcomes import ModelAnnounced
from clv.rules import Rules
from clv.segments import Policies, SegmentPolicy
from clv.topics import MODELS
from clv.verdicts import Judgement
from models.ensemble import Ensemble
from models.scorer import KEPT_SNAPSHOTS, SnapshotScorer
from models.snapshot import ScorerSnapshot
from storage.artifacts import get_artifact, newest_artifacts
from streams.clients import aiokafka_settings
from streams.policies import POLICY_NAME, SCORER_NAME, fixed_policy, sequence_of, version_bound
from streams.store_retry import retry_store

if TYPE_CHECKING:
    from clv.settings import Settings
    from storage.artifacts import StoredArtifact
    from storage.engine import Database

log = structlog.get_logger(__name__)
_KEPT_JUDGEMENTS = 4


class PublishedModels:
    """Loads what the trainer publishes; satisfies ``streams.partitions.Models``.

    Parameters
    ----------
    settings
        The deployment's settings.
    database
        Where the artifacts lie.
    """

    def __init__(self, settings: Settings, database: Database) -> None:
        self._settings = settings
        self._database = database
        self._rules = Rules.from_settings(settings)
        self._latest = 0
        self._never = asyncio.Event()
        self._loading = asyncio.Lock()
        self._judgements: OrderedDict[int, Judgement] = OrderedDict()
        self._snapshots: dict[str, ScorerSnapshot] = {}
        self._ensembles: dict[str, Ensemble] = {}

    def latest_sequence(self) -> int:
        """Return the newest sequence that is loaded."""
        return self._latest

    async def judgement(self, sequence: int) -> Judgement:
        """Return models and policies as they were when ``sequence`` was the newest."""
        async with self._loading:
            known = self._judgements.get(sequence)
            if known is None:
                known = await retry_store(self._never, self._load, sequence)
                self._judgements[sequence] = known
                while len(self._judgements) > _KEPT_JUDGEMENTS:
                    self._judgements.popitem(last=False)
            return known

    async def follow(self) -> None:
        """Follow the announcements until cancelled; a new version counts once it is loaded."""
        consumer = AIOKafkaConsumer(
            MODELS, auto_offset_reset="earliest", enable_auto_commit=False, **aiokafka_settings(self._settings)
        )
        await consumer.start()
        try:
            while True:
                announced = await consumer.getmany(timeout_ms=1000)
                values = [record.value for records in announced.values() for record in records]
                await self._take(values)
        finally:
            await consumer.stop()

    async def _take(self, values: list[bytes | None]) -> None:
        newest = self._latest
        for value in values:
            newest = max(newest, _announced_sequence(value))
        if newest > self._latest:
            await self.judgement(newest)
            self._latest = newest
            log.debug("models loaded", sequence=newest)

    def _load(self, sequence: int) -> Judgement:
        bound = version_bound(sequence)
        scorer = SnapshotScorer(self._settings.horizon_days)
        scorers = newest_artifacts(self._database, SCORER_NAME, up_to_version=bound, limit=KEPT_SNAPSHOTS)
        entries = newest_artifacts(self._database, POLICY_NAME, up_to_version=bound, limit=KEPT_SNAPSHOTS)
        self._check_kept(sequence, [*scorers, *entries])
        for entry in scorers:
            snapshot = self._snapshot(entry.digest)
            scorer = scorer.add(snapshot, self._ensemble(snapshot.ensemble_digest))
        self._forget_unused(scorer)
        fixed = fixed_policy(self._settings)
        if fixed:
            return Judgement(scorer, Policies([fixed]), self._rules)
        policies = [msgspec.json.decode(get_artifact(self._database, e.digest), type=SegmentPolicy) for e in entries]
        return Judgement(scorer, Policies(policies), self._rules)

    @staticmethod
    def _check_kept(sequence: int, found: list[StoredArtifact]) -> None:
        newest = max((sequence_of(entry.version) for entry in found), default=0)
        if newest < sequence:
            # Only a row older than what storage.pruning keeps, or an emptied store, can ask for it.
            log.warning("the store no longer holds these models, repeated outputs may differ", sequence=sequence)

    def _snapshot(self, digest: str) -> ScorerSnapshot:
        if digest not in self._snapshots:
            self._snapshots[digest] = ScorerSnapshot.from_bytes(get_artifact(self._database, digest))
        return self._snapshots[digest]

    def _ensemble(self, digest: str) -> Ensemble | None:
        if not digest:
            return None
        if digest not in self._ensembles:
            self._ensembles[digest] = Ensemble(get_artifact(self._database, digest), digest)
        return self._ensembles[digest]

    def _forget_unused(self, scorer: SnapshotScorer) -> None:
        used = {snapshot.ensemble_digest for snapshot in scorer.snapshots}
        self._ensembles = {digest: e for digest, e in self._ensembles.items() if digest in used}
        while len(self._snapshots) > 4 * KEPT_SNAPSHOTS:
            del self._snapshots[next(iter(self._snapshots))]


def _announced_sequence(value: bytes | None) -> int:
    """Return the sequence that a record announces; 0 for one that announces nothing for a worker, or is broken."""
    if value is None:
        return 0
    try:
        announcement = msgspec.json.decode(value, type=ModelAnnounced)
        return sequence_of(announcement.version) if announcement.name in (SCORER_NAME, POLICY_NAME) else 0
    except ValueError as problem:
        log.warning("announcement cannot be read", problem=str(problem))
        return 0
