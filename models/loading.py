"""Published models and policies, loaded from wherever their artifacts lie: alike for workers and API."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import msgspec

from clv.published import POLICY_NAME, SCORER_NAME, fixed_policy, sequence_of, version_bound
from clv.rules import Rules
from clv.segments import Policies, SegmentPolicy
from clv.verdicts import Judgement
from models.ensemble import Ensemble
from models.scorer import KEPT_SNAPSHOTS, SnapshotScorer
from models.snapshot import ScorerSnapshot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clv.settings import Settings


class Listed(Protocol):
    """An artifact's name in the list: its version, and the digest under which its bytes lie."""

    @property
    def version(self) -> str:
        """Its version."""
        ...

    @property
    def digest(self) -> str:
        """SHA-256 of its bytes."""
        ...


class ArtifactSource(Protocol):
    """Where artifacts lie; called by ``Loader`` from whatever thread calls it. Errors pass through."""

    def newest(self, name: str, *, up_to_version: str, limit: int) -> Sequence[Listed]:
        """Return what is stored under a name up to a version, newest first."""
        ...

    def get(self, digest: str) -> bytes:
        """Return the bytes of a digest, checked against it."""
        ...


class Loaded(NamedTuple):
    """What was the newest at a sequence number, and the newest sequence that the store still had of it."""

    judgement: Judgement
    scorer: SnapshotScorer
    newest_sequence: int


class Loader:
    """Loads judgements and keeps what they share in memory: snapshots, and ensembles, which take long to open.

    Not for several threads at once.
    """

    def __init__(self, settings: Settings, source: ArtifactSource) -> None:
        self._settings = settings
        self._source = source
        self._rules = Rules.from_settings(settings)
        self._snapshots: dict[str, ScorerSnapshot] = {}
        self._ensembles: dict[str, Ensemble] = {}

    def load(self, sequence: int) -> Loaded:
        """Return models and policies as they were when ``sequence`` was the newest.

        Raises
        ------
        ModelError
            When stored bytes are damaged, or were learnt from other features.
        StoreUnavailable
            When a retry may help.
        """
        bound = version_bound(sequence)
        scorer = SnapshotScorer(self._settings.horizon_days)
        scorers = self._source.newest(SCORER_NAME, up_to_version=bound, limit=KEPT_SNAPSHOTS)
        entries = self._source.newest(POLICY_NAME, up_to_version=bound, limit=KEPT_SNAPSHOTS)
        for entry in scorers:
            snapshot = self._snapshot(entry.digest)
            scorer = scorer.add(snapshot, self._ensemble(snapshot.ensemble_digest))
        self._forget_unused(scorer)
        newest = max((sequence_of(entry.version) for entry in [*scorers, *entries]), default=0)
        fixed = fixed_policy(self._settings)
        policies = [fixed] if fixed else [self._policy(entry.digest) for entry in entries]
        return Loaded(Judgement(scorer, Policies(policies), self._rules), scorer, newest)

    def _policy(self, digest: str) -> SegmentPolicy:
        return msgspec.json.decode(self._source.get(digest), type=SegmentPolicy)

    def _snapshot(self, digest: str) -> ScorerSnapshot:
        if digest not in self._snapshots:
            self._snapshots[digest] = ScorerSnapshot.from_bytes(self._source.get(digest))
        return self._snapshots[digest]

    def _ensemble(self, digest: str) -> Ensemble | None:
        if not digest:
            return None
        if digest not in self._ensembles:
            self._ensembles[digest] = Ensemble(self._source.get(digest), digest)
        return self._ensembles[digest]

    def _forget_unused(self, scorer: SnapshotScorer) -> None:
        used = {snapshot.ensemble_digest for snapshot in scorer.snapshots}
        self._ensembles = {digest: e for digest, e in self._ensembles.items() if digest in used}
        while len(self._snapshots) > 4 * KEPT_SNAPSHOTS:
            del self._snapshots[next(iter(self._snapshots))]
