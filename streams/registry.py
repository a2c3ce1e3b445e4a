"""Which published versions get a card, what a switch of champion leaves behind, and what a person has pinned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec
import structlog

from clv.errors import IncompatibleArtifact
from clv.events import parse_time_ms
from clv.features import FEATURE_DIGEST, FEATURE_NAMES
from clv.outcomes import rfc3339
from clv.published import ENSEMBLE_NAME, POLICY_NAME, SCORER_NAME
from models import batch, evaluation, glm
from models.card import (
    CardCause,
    EnsembleFacts,
    Evidence,
    GlmFacts,
    ModelCard,
    Pin,
    Switch,
    SwitchCause,
    Window,
    ensemble_facts,
)
from models.snapshot import MEMBERS, PRIOR_NAME
from models.training import MIN_ONLINE_EXAMPLES
from storage.artifacts import get_artifact
from storage.cards import PIN_CAUSES, Registered, StoredCard, StoredEvent, card_at
from storage.pruning import Retention

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from clv.settings import Settings
    from models.card import Importance
    from models.snapshot import ScorerSnapshot
    from models.training import Learner
    from storage.artifacts import Artifact
    from storage.engine import Database

log = structlog.get_logger(__name__)


class RegistryState(msgspec.Struct):
    """What the trainer keeps of its cards: examples so far, the pin, the last switch.

    ``parent`` is the version given out last, ``card`` the last with a card, ``ensemble_digest`` that card's.
    """

    window: Window = msgspec.field(default_factory=Window)
    pin: Pin | None = None
    switch: Switch | None = None
    parent: str = ""
    card: str = ""
    ensemble_digest: str = ""

    @property
    def pinned(self) -> str:
        """What a person has fixed: a candidate, or a version; empty where nothing is."""
        return (self.pin.champion or self.pin.version) if self.pin else ""


class Occasion(NamedTuple):
    """Why something is published: a refit, what a person asked for, or the schedule alone (empty).

    ``restores`` is the older version that a rollback puts back in force.
    """

    cause: Literal["", "refit", "promote", "rollback", "unpin"] = ""
    restores: str = ""

    @property
    def is_personal(self) -> bool:
        """Whether a person asked for it."""
        return self.cause in PIN_CAUSES


class Registry:
    """Records what the trainer publishes.

    Parameters
    ----------
    settings
        What is said of the training on each card.
    database
        Where earlier cards and ensembles lie.
    state
        From where to go on; changes in place.
    learner
        Whose publications these are; its champion is held by the pin.
    """

    def __init__(self, settings: Settings, database: Database, state: RegistryState, learner: Learner) -> None:
        self._settings = settings
        self._database = database
        self._state = state
        self._learner = learner
        self._hold()

    def pin(self, pin: Pin | None) -> None:
        """Fix what answers from the next publication on; None leaves it to the error again."""
        self._state.pin = pin
        if pin is None and self._state.switch:
            # Whoever answers now is the one to beat.
            self._learner.champion = self._state.switch.after
        self._hold()

    def _hold(self) -> None:
        pin = self._state.pin
        # Behind an older version that is pinned nobody answers, so that nobody is switched either.
        self._learner.pinned = (pin.champion or self._learner.champion) if pin else ""

    def gives_out(self, occasion: Occasion) -> bool:
        """Tell whether a snapshot is for the workers: all but the schedule's while an older version is pinned."""
        return occasion.is_personal or not (self._state.pin and self._state.pin.version)

    def record(
        self, snapshot: ScorerSnapshot, digest: str, artifacts: Sequence[Artifact], occasion: Occasion
    ) -> tuple[ModelCard | None, Switch | None]:
        """Return the card and the switch of a snapshot that is given out, None where nothing essential has changed.

        Parameters
        ----------
        digest
            SHA-256 of the snapshot's bytes.
        artifacts
            What is published with it and not stored yet.

        Raises
        ------
        StoreUnavailable
            When a retry may help.
        """
        state = self._state
        switch = self._switch(snapshot, occasion)
        state.switch = switch or state.switch
        cause = self._cause(snapshot, occasion, is_switch=switch is not None)
        card = None
        if cause:
            card = self._card(snapshot, digest, cause, occasion)
            facts = self._ensemble(snapshot.ensemble_digest, artifacts) if snapshot.ensemble_digest else None
            card = msgspec.structs.replace(card, ensemble=facts)
            state.card, state.ensemble_digest = snapshot.version, snapshot.ensemble_digest
        state.parent = snapshot.version
        return card, switch

    def _switch(self, snapshot: ScorerSnapshot, occasion: Occasion) -> Switch | None:
        before = self._state.switch.after if self._state.switch else PRIOR_NAME
        if before == snapshot.champion and not occasion.is_personal:
            return None
        errors, standings = self._learner.relative_errors(), self._learner.standings()
        # From the reference it is expectation that leads on to what has no error of its own yet.
        is_unproven = before == evaluation.REFERENCE and errors.get(snapshot.champion) is None
        cause: SwitchCause = "fitted" if before not in errors or is_unproven else "error"
        if occasion.cause and occasion.cause != "refit":
            cause = occasion.cause
        evidence = Evidence(
            relative_errors={name: errors.get(name) for name in (before, snapshot.champion)},
            example_count=self._learner.learned_count,
            margin=evaluation.MARGIN,
            reference=evaluation.REFERENCE,
            restores=occasion.restores,
            standings={name: standings[name] for name in (before, snapshot.champion) if name in standings},
        )
        at = rfc3339(snapshot.learned_through_ms)
        return Switch(snapshot.version, at, cause, before, snapshot.champion, evidence)

    def _cause(self, snapshot: ScorerSnapshot, occasion: Occasion, *, is_switch: bool) -> CardCause | None:
        if occasion.cause and occasion.cause != "refit":
            return occasion.cause
        if not self._state.card:
            return "first"
        # By the newest card a snapshot without one finds its ensemble: pruning relies on that.
        if occasion.cause == "refit" or snapshot.ensemble_digest != self._state.ensemble_digest:
            return "refit"
        return "switch" if is_switch else None

    def _card(self, snapshot: ScorerSnapshot, digest: str, cause: CardCause, occasion: Occasion) -> ModelCard:
        learner, base, versions = self._learner, snapshot.btyd, snapshot.model_versions
        members = {name: getattr(versions, name) for name in MEMBERS}
        members |= dict.fromkeys(snapshot.custom, versions.ensemble)
        window, importance = self._learned(occasion)
        return ModelCard(
            name=SCORER_NAME,
            version=snapshot.version,
            sequence=snapshot.sequence,
            digest=digest,
            cause=cause,
            learned_through_at=rfc3339(snapshot.learned_through_ms),
            horizon_days=snapshot.horizon_days,
            feature_digest=FEATURE_DIGEST,
            features=FEATURE_NAMES,
            window=window,
            customers=base.customer_count if base else 0,
            repeat_customers=base.repeat_customer_count if base else 0,
            training={
                "refit_days": self._settings.refit_days,
                "champion_margin": evaluation.MARGIN,
                "champion_min_examples": evaluation.MIN_EXAMPLES,
                "glm_min_windows": glm.MIN_WINDOWS,
                "glm_min_customers": glm.MIN_CUSTOMERS,
                "glm_min_buying_windows": glm.MIN_BUYING_WINDOWS,
                "online_min_examples": MIN_ONLINE_EXAMPLES,
                "ensemble_min_examples": batch.MIN_EXAMPLES,
                "ensemble_max_examples": batch.MAX_EXAMPLES,
            },
            members={name: version for name, version in members.items() if version},
            weights=dict(snapshot.weights),
            ensemble_digest=snapshot.ensemble_digest,
            ensemble=None,
            glm=_glm_facts(snapshot),
            metrics={name: msgspec.to_builtins(metrics) for name, metrics in learner.metrics().items()},
            relative_errors=learner.relative_errors(),
            champion=snapshot.champion,
            switch=self._state.switch,
            pin=self._state.pin,
            parent=self._state.parent,
            restores=occasion.restores,
            drift=learner.drift.alarms,
            importance=importance,
        )

    def _learned(self, occasion: Occasion) -> tuple[Window, Importance | None]:
        """Return which examples stand behind what is given out, and what it looks at."""
        if not occasion.restores:
            return msgspec.structs.replace(self._state.window), self._learner.feature_importance()
        found = card_at(self._database, occasion.restores)
        card = ModelCard.from_json(found.card) if found else None
        return (card.window, card.importance) if card else (Window(), None)

    def _ensemble(self, digest: str, artifacts: Sequence[Artifact]) -> EnsembleFacts | None:
        try:
            fresh = next((one.payload for one in artifacts if one.digest == digest), None)
            return ensemble_facts(fresh or get_artifact(self._database, digest))
        except IncompatibleArtifact as problem:
            # The workers refuse it too, and say so; a card must not stop the trainer.
            log.warning("card without the ensemble's facts", digest=digest, problem=str(problem))
            return None


def registered(
    state: RegistryState, card: ModelCard | None, switch: Switch | None, *, used_ensembles: Iterable[str]
) -> Registered:
    """Return what goes into the transaction of a publication: its card, its switch, and what may be pruned by now."""
    pinned = {state.pin.version} if state.pin and state.pin.version else set()
    retention = Retention(
        snapshots=SCORER_NAME,
        ensembles=ENSEMBLE_NAME,
        policies=POLICY_NAME,
        pinned_versions=frozenset(pinned),
        used_digests=frozenset(used_ensembles) - {""},
    )
    return Registered([_stored_card(card)] if card else [], [_stored_event(switch)] if switch else [], retention)


def _glm_facts(snapshot: ScorerSnapshot) -> GlmFacts | None:
    state = snapshot.glm
    return GlmFacts(state.window_count, state.customer_count, state.btyd_version) if state else None


def _stored_card(card: ModelCard) -> StoredCard:
    return StoredCard(
        version=card.version,
        name=card.name,
        digest=card.digest,
        learned_through_ms=parse_time_ms(card.learned_through_at),
        cause=card.cause,
        champion=card.champion,
        ensemble_digest=card.ensemble_digest,
        card=card.to_json(),
    )


def _stored_event(switch: Switch) -> StoredEvent:
    return StoredEvent(
        version=switch.version,
        at_ms=parse_time_ms(switch.at),
        cause=switch.cause,
        from_champion=switch.before,
        to_champion=switch.after,
        evidence=msgspec.json.encode(switch.evidence, order="sorted").decode(),
    )
