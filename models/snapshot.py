"""One published version of everything that scores: plain numbers, immutable, named by its content.

The ensemble's bytes are stored apart and referred to by digest; putting answers together is in ``scorer``.
"""

from __future__ import annotations

import hashlib

import msgspec

from clv.errors import FeatureMismatch, IncompatibleArtifact
from clv.features import FEATURE_DIGEST
from clv.outcomes import ModelVersions, rfc3339
from models.btyd import BtydParams
from models.conformal import IntervalFactors
from models.glm import GlmState
from models.online import OnlineState

FORMAT = "clv.scorer.v1"
MEMBERS = ("btyd", "glm", "online", "ensemble")
BLEND = "blend"
PRIOR_NAME = "prior"
MIN_CUSTOMERS = 100
MIN_REPEAT_CUSTOMERS = 20


class ScorerSnapshot(msgspec.Struct, frozen=True):
    """What a worker needs to score.

    ``version`` is empty until ``named``. Without ``btyd`` the prior answers. ``ensemble_digest`` is empty without an
    ensemble; ``custom`` names the custom models that answer out of it. ``champion`` is one of ``MEMBERS`` or of these,
    ``BLEND`` or ``PRIOR_NAME``; ``weights`` are the blend's, of members that are there. ``learned_through_ms`` is the
    latest event time that influenced any part, epoch milliseconds.
    ``reference`` is the typical customer's feature row, against which scores are explained; empty where none is known.
    ``most_minor`` is the most that anybody is known to have brought within a horizon, 0 where that is not known.
    """

    sequence: int
    learned_through_ms: int
    horizon_days: int
    btyd: BtydParams | None = None
    glm: GlmState | None = None
    online: OnlineState | None = None
    ensemble_digest: str = ""
    custom: tuple[str, ...] = ()
    champion: str = PRIOR_NAME
    weights: dict[str, float] = {}
    intervals: IntervalFactors = IntervalFactors()
    reference: tuple[float, ...] = ()
    most_minor: float = 0.0
    feature_digest: str = FEATURE_DIGEST
    format: str = FORMAT
    version: str = ""

    @property
    def has_minimum_data(self) -> bool:
        """Whether enough customers were behind the fit to call its answers more than a prior."""
        base = self.btyd
        return (
            base is not None
            and base.customer_count >= MIN_CUSTOMERS
            and base.repeat_customer_count >= MIN_REPEAT_CUSTOMERS
        )

    @property
    def model_versions(self) -> ModelVersions:
        """Names of the versions that answer, as each score event carries them."""
        return ModelVersions(
            scorer=self.version,
            btyd=self.btyd.version if self.btyd else "",
            glm=self.glm.version if self.glm else "",
            online=_digest(self.online)[:12] if self.online else "",
            ensemble=self.ensemble_digest[:12],
            champion=self.champion,
            learned_through_at=rfc3339(self.learned_through_ms),
        )

    def named(self) -> ScorerSnapshot:
        """Return it with its version: the sequence number and a digest of the content."""
        content = msgspec.structs.replace(self, version="")
        return msgspec.structs.replace(content, version=f"{self.sequence:06d}-{_content_digest(content)[:12]}")

    def to_bytes(self) -> bytes:
        """Return it as JSON; the same snapshot gives the same bytes."""
        return msgspec.json.encode(self, order="sorted")

    @classmethod
    def from_bytes(cls, data: bytes) -> ScorerSnapshot:
        """Read what ``to_bytes`` wrote.

        Raises
        ------
        IncompatibleArtifact
            When the bytes are not a snapshot of this format, or were changed since they were named.
        FeatureMismatch
            When it was learnt from other features.
        """
        try:
            snapshot = msgspec.json.decode(data, type=cls)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
            raise IncompatibleArtifact("the bytes are not a scorer snapshot") from problem
        if snapshot.format != FORMAT:
            raise IncompatibleArtifact(f"the snapshot has format {snapshot.format!r}, this build reads {FORMAT!r}")
        snapshot.check_features()
        if snapshot.version != snapshot.named().version:
            raise IncompatibleArtifact(f"the snapshot's content does not match its version {snapshot.version}")
        return snapshot

    def check_features(self) -> None:
        """Raise ``FeatureMismatch`` when the snapshot and this build disagree about the features."""
        if self.feature_digest != FEATURE_DIGEST:
            raise FeatureMismatch(f"snapshot {self.version} has features {self.feature_digest}, not {FEATURE_DIGEST}")


def _digest(content: msgspec.Struct | dict[str, object]) -> str:
    return hashlib.sha256(msgspec.json.encode(content, order="sorted")).hexdigest()


def _content_digest(snapshot: ScorerSnapshot) -> str:
    content = msgspec.to_builtins(snapshot)
    for later in ("reference", "custom", "most_minor"):
        if not content[later]:
            # Snapshots were named before they had it: they keep their names.
            del content[later]
    return _digest(content)
