"""The trainer's pure brain: learns each matured example once, refits the batch models, publishes snapshots.

One writer; no clock, no transport, no database. Its whole state is plain data, to be stored with the offsets it covers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np
import structlog

from clv.errors import FeatureMismatch, IncompatibleArtifact, NotTrained
from clv.events import parse_time_ms
from clv.features import FEATURE_DIGEST
from models import batch, btyd, glm, importance
from models.btyd import BtydParams, Histories
from models.card import Importance
from models.challengers import Challengers, Fit, with_fit
from models.conformal import Residuals
from models.drift import DriftState
from models.ensemble import Ensemble, digest_of
from models.evaluation import Metrics, Prequential, blend_weights, choose_champion
from models.glm import GlmState
from models.online import OnlineModel, OnlineState
from models.prior import PRIOR
from models.reference import typical
from models.snapshot import BLEND, MEMBERS, PRIOR_NAME, ScorerSnapshot

if TYPE_CHECKING:
    from clv.outcomes import TrainingExample
    from clv.ports import Floats
    from clv.windows import Windows
    from models.batch import ExampleArrays

FORMAT = "clv.learner.v1"
MIN_ONLINE_EXAMPLES = 300
"""Below it the online model shadows unseen: its scaling has not settled."""

log = structlog.get_logger(__name__)


class LearnerState(msgspec.Struct, frozen=True):
    """All that a ``Learner`` knows; ``learned_through_ms`` of refits is the caller's."""

    horizon_days: int
    sequence: int = 0
    btyd: BtydParams | None = None
    glm: GlmState | None = None
    online: OnlineState = OnlineState()
    ensemble_digest: str = ""
    champion: str = PRIOR_NAME
    first_ms: int = -1
    prequential: Prequential = msgspec.field(default_factory=Prequential)
    residuals: Residuals = msgspec.field(default_factory=Residuals)
    reference: tuple[float, ...] = ()
    drift: DriftState = msgspec.field(default_factory=DriftState)
    custom: tuple[str, ...] = ()
    fits: tuple[Fit, ...] = ()
    most_minor: float = 0.0
    importance: Importance | None = None
    feature_digest: str = FEATURE_DIGEST
    format: str = FORMAT


class Learner:
    """Learns from matured examples and histories; deterministic, one writer.

    Parameters
    ----------
    horizon_days
        Days ahead that the examples' values were realised over.
    state
        Where to go on; a new one by default.
    challengers
        Custom models to fit, and where their earlier fits are to be had.

    Attributes
    ----------
    pinned
        Candidate that is champion whatever its error, as long as it is there; empty where the error decides.
    drift
        What has drifted so far, and when.
    fits
        Ensembles with custom models in them, under which examples still to mature were scored.
    """

    def __init__(
        self, horizon_days: int, state: LearnerState | None = None, challengers: Challengers | None = None
    ) -> None:
        given = state or LearnerState(horizon_days)
        if given.feature_digest != FEATURE_DIGEST or given.horizon_days != horizon_days:
            raise FeatureMismatch(
                f"the learner knows features {given.feature_digest} and {given.horizon_days} days, "
                f"not {FEATURE_DIGEST} and {horizon_days}"
            )
        self.horizon_days = horizon_days
        self.btyd = given.btyd
        self.glm = given.glm
        self.champion = given.champion
        self.ensemble_digest = given.ensemble_digest
        self.pinned = ""
        self.drift = given.drift
        self.fits = given.fits
        self._custom = given.custom
        self._challengers = challengers or Challengers()
        self._sequence = given.sequence
        self._first_ms = given.first_ms
        self._online = OnlineModel(given.online)
        self._online_count = given.online.learned_count
        self._prequential = given.prequential
        self._residuals = given.residuals
        self._reference = given.reference
        self._most_minor = given.most_minor
        self._importance = given.importance

    @property
    def sequence(self) -> int:
        """Number of what was given out last; 0 before anything was."""
        return self._sequence

    @property
    def learned_count(self) -> int:
        """How many examples were learnt."""
        return self._prequential.example_count

    def metrics(self) -> dict[str, Metrics]:
        """Return the prequential error of ``clv`` (what was given out), ``naive``, the members and their blend."""
        return self._prequential.metrics()

    def candidates(self) -> tuple[str, ...]:
        """Return who could be champion now: the members there are, and their blend; nobody before the first fit."""
        members = self._members()
        # A blend of one is that one.
        return (*members, BLEND) if len(self._weights(members)) > 1 else members

    def relative_errors(self) -> dict[str, float | None]:
        """Return each candidate's recent deviance over the reference's; none below the minimum of examples."""
        return {name: self._prequential.relative_error(name) for name in self.candidates()}

    def standings(self) -> dict[str, float]:
        """Return what decides between candidates: relative error, drawn towards what is expected of each."""
        return {name: self._prequential.standing(name) for name in self.candidates()}

    def feature_importance(self) -> Importance | None:
        """Return what the scorer looked at when it was last measured; None before that."""
        return self._importance

    def learn(self, example: TrainingExample) -> None:
        """Judge every model by what it said then, then let the online model learn the example, relative to the base.

        The base is what the regression said then; where it said nothing, what the present base says of the features.

        Raises
        ------
        FeatureMismatch
            When the example has other features or another horizon; nothing was learnt.
        """
        if example.feature_digest != FEATURE_DIGEST or example.horizon_days != self.horizon_days:
            raise FeatureMismatch(
                f"example {example.event_id} has features {example.feature_digest} over {example.horizon_days} days"
            )
        value = float(max(example.value_minor, 0))
        features = np.array(example.features, dtype=np.float64)
        base_minor = example.glm_minor or self._base_minor(features)
        self._most_minor = max(self._most_minor, value)
        said = {name: float(getattr(example, f"{name}_minor")) for name in MEMBERS}
        if self.fits:
            as_of_ms = parse_time_ms(example.as_of)
            then_minor = example.glm_minor or example.btyd_minor
            said |= self._challengers.said(self.fits, as_of_ms, example.features, then_minor)
        weights = self._weights(tuple(name for name in (*MEMBERS, *self._custom) if said.get(name, 0.0) > 0.0))
        if len(weights) > 1:
            said[BLEND] = sum(said[name] * weight for name, weight in weights.items())
        predictions = {**said, "naive": float(example.naive_minor), "clv": float(example.clv_minor)}
        self._prequential.update(value, predictions, weight=self._weight(example))
        self._residuals.update(value, float(example.clv_minor))
        for alarm in self.drift.update(example):
            log.info("drift", **msgspec.structs.asdict(alarm))
        self._online.learn_one(features, base_minor, value)
        self._online_count += 1

    def refit_btyd(self, histories: Histories) -> BtydParams:
        """Refit the base to histories, all observed no later than the next snapshot's ``learned_through_ms``."""
        self.btyd = btyd.fit(histories)
        log.info("refitted", model="btyd", version=self.btyd.version, customers=self.btyd.customer_count)
        return self.btyd

    def refit_glm(self, windows: Windows, now_ms: int) -> GlmState | None:
        """Refit the regression to windows that ended no later than ``now_ms``; None where they are too few.

        Who is typical is taken from the same windows; without any, whoever was typical stays.
        """
        self._reference = typical(windows, now_ms) or self._reference
        self._most_minor = max(self._most_minor, float(windows.value_minor.max(initial=btyd.MIN_PREDICTION_MINOR)))
        if self.btyd is not None:
            self.glm = glm.fit(windows, self.btyd, now_ms=now_ms, horizon_days=self.horizon_days)
        return self.glm

    def refit_ensemble(self, examples: ExampleArrays, *, seed: int = 0) -> bytes:
        """Train the ensemble relative to the present base and return its artifact, to be stored under its digest.

        Raises
        ------
        NotTrained
            Without a base, or with too few examples.
        IncompatibleArtifact
            When its ONNX export does not answer as scikit-learn does; the ensemble before stays.
        """
        if self.btyd is None:
            raise NotTrained("the ensemble learns relative to BTYD, which has not been fitted yet")
        artifact = batch.train(
            examples,
            self.btyd,
            self.glm,
            horizon_days=self.horizon_days,
            seed=seed,
            custom=self._challengers.models,
        )
        self.ensemble_digest = digest_of(artifact)
        self._custom = Ensemble(artifact).custom_names
        log.info("refitted", model="ensemble", version=self.ensemble_digest[:12], examples=len(examples.value_minor))
        return artifact

    def snapshot(self, learned_through_ms: int) -> ScorerSnapshot:
        """Choose the champion and return everything that scores as the next version.

        Parameters
        ----------
        learned_through_ms
            The latest event time that influenced anything learnt so far, epoch milliseconds.
        """
        members = self._members()
        weights = self._weights(members)
        if members:
            candidates = self.candidates()
            chosen = choose_champion(self._prequential, current=self.champion, available=candidates)
            chosen = self.pinned if self.pinned in candidates else chosen
            if chosen != self.champion:
                errors = {name: self._prequential.relative_error(name) for name in (self.champion, chosen)}
                log.info("champion_changed", before=self.champion, after=chosen, relative_errors=errors)
            self.champion = chosen
        self._sequence += 1
        self._note_fit(learned_through_ms)
        return ScorerSnapshot(
            sequence=self._sequence,
            learned_through_ms=learned_through_ms,
            horizon_days=self.horizon_days,
            btyd=self.btyd,
            glm=self.glm,
            online=self._online.to_state() if "online" in members else None,
            ensemble_digest=self.ensemble_digest,
            custom=self._custom,
            champion=self.champion,
            weights=weights,
            intervals=self._residuals.factors(),
            reference=self._reference,
            most_minor=self._most_minor,
        ).named()

    def count_on(self, sequence: int) -> None:
        """Number what is given out from here on behind a sequence that somebody else has come to."""
        self._sequence = max(self._sequence, sequence)

    def measure_importance(self, snapshot: ScorerSnapshot, ensemble: Ensemble | None, examples: ExampleArrays) -> None:
        """Measure what a snapshot of this learner looks at, see ``importance.measure``; few examples change nothing."""
        self._importance = importance.measure(snapshot, ensemble, examples) or self._importance

    def republish(self, snapshot: ScorerSnapshot, learned_through_ms: int) -> ScorerSnapshot:
        """Return an older snapshot's content as the next version; what the learner knows stays as it is.

        Parameters
        ----------
        learned_through_ms
            The latest event time that influenced the choice of this snapshot: not before any published one's.
        """
        self._sequence += 1
        return msgspec.structs.replace(snapshot, sequence=self._sequence, learned_through_ms=learned_through_ms).named()

    def to_state(self) -> bytes:
        """Return all that was learnt as JSON; the ensemble's bytes are not in it, its digest is."""
        return msgspec.json.encode(
            LearnerState(
                horizon_days=self.horizon_days,
                sequence=self._sequence,
                btyd=self.btyd,
                glm=self.glm,
                online=self._online.to_state(),
                ensemble_digest=self.ensemble_digest,
                champion=self.champion,
                first_ms=self._first_ms,
                prequential=self._prequential,
                residuals=self._residuals,
                reference=self._reference,
                drift=self.drift,
                custom=self._custom,
                fits=self.fits,
                most_minor=self._most_minor,
                importance=self._importance,
            ),
            order="sorted",
        )

    @classmethod
    def from_state(cls, data: bytes, *, horizon_days: int, challengers: Challengers | None = None) -> Learner:
        """Go on from what ``to_state`` returned.

        Raises
        ------
        IncompatibleArtifact
            When the bytes are not a learner's state of this format.
        FeatureMismatch
            When it was learnt from other features or for another horizon.
        """
        try:
            state = msgspec.json.decode(data, type=LearnerState)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
            raise IncompatibleArtifact("the bytes are not a learner's state") from problem
        if state.format != FORMAT:
            raise IncompatibleArtifact(f"the learner's state has format {state.format!r}, this build reads {FORMAT!r}")
        return cls(horizon_days, state, challengers)

    def _members(self) -> tuple[str, ...]:
        has = {
            "btyd": self.btyd is not None,
            "glm": self.btyd is not None and self.glm is not None,
            "online": self.btyd is not None and self._online_count >= MIN_ONLINE_EXAMPLES,
            "ensemble": self.btyd is not None and bool(self.ensemble_digest),
        }
        return (*(name for name in MEMBERS if has[name]), *(self._custom if has["ensemble"] else ()))

    def _note_fit(self, now_ms: int) -> None:
        digest = self.ensemble_digest if self._custom else ""
        last = self.fits[-1].digest if self.fits else ""
        support_minor = self.glm.support_minor if self.glm else None
        fit = Fit(now_ms, digest, support_minor, self._most_minor, self.horizon_days) if digest != last else None
        self.fits = with_fit(self.fits, fit, horizon_days=self.horizon_days, now_ms=now_ms)
        self._challengers.keep({one.digest for one in self.fits})

    def _weight(self, example: TrainingExample) -> float:
        """How much an example says about the models of today: little when they knew little of what they know now."""
        as_of_ms, now_ms = parse_time_ms(example.as_of), parse_time_ms(example.matured_at)
        self._first_ms = as_of_ms if self._first_ms < 0 else min(self._first_ms, as_of_ms)
        return ((as_of_ms - self._first_ms) / max(now_ms - self._first_ms, 1)) ** 2

    def _weights(self, members: tuple[str, ...]) -> dict[str, float]:
        return blend_weights(self._prequential, members)

    def _base_minor(self, features: Floats) -> float:
        rows = features.reshape(1, -1)
        answer = btyd.answer(self.btyd or PRIOR, btyd.histories_of(rows), horizon_days=self.horizon_days)
        return float((self.glm.predict(rows, answer) if self.btyd and self.glm else answer.value_minor)[0])
