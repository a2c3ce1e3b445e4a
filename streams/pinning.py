"""What ``clv models`` changes: a candidate promoted, an older version put back in force, and either taken back.

Each publishes at once, beside a running trainer or without one, and is stored by compare-and-set: the trainer finds out
at its next save and goes on from there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_exponential

from clv.errors import FeatureMismatch, IncompatibleArtifact, InputError, NotTrained, StoreConflict, StoreUnavailable
from clv.outcomes import ModelAnnounced, rfc3339
from clv.published import SCORER_NAME
from models.card import ModelCard, Pin
from models.snapshot import ScorerSnapshot
from storage.artifacts import get_artifact, newest_artifacts
from storage.cards import read_cards
from streams.registry import Occasion
from streams.trainer_store import TrainerStore

if TYPE_CHECKING:
    from clv.outcomes import BudgetSignal
    from clv.settings import Settings
    from storage.artifacts import StoredArtifact
    from storage.engine import Database
    from streams.training import Training

_ATTEMPTS = 4
_MOST_SCORERS = 10_000
_LISTED = "clv models list --all"
_persistently = retry(
    retry=retry_if_exception_type((StoreConflict, StoreUnavailable)),
    wait=wait_exponential(multiplier=0.5, max=4),
    stop=stop_after_attempt(_ATTEMPTS),
    reraise=True,
)


class Pinned(NamedTuple):
    """What answers after a command: the version published, its champion, and what is pinned (empty: nothing).

    ``is_new`` is false where it was so before, and nothing was published; ``events`` are to be announced.
    """

    version: str
    champion: str
    pinned: str
    since: str
    is_new: bool
    events: list[ModelAnnounced | BudgetSignal]


@_persistently
def promote(settings: Settings, database: Database, wanted: str) -> Pinned:
    """Make a candidate the champion until it is unpinned, whatever its error, and publish that.

    Parameters
    ----------
    wanted
        Name of a candidate, or the beginning of the version of a part that is in use.

    Raises
    ------
    InputError
        When there is no such candidate.
    NotTrained
        Before anything has been published.
    StoreConflict
        When a running trainer saved each time meanwhile.
    StoreUnavailable
        When a retry may help.
    """
    store, training = _opened(settings, database)
    champion = _candidate(database, training, wanted)
    pin = training.state.registry.pin
    if pin and pin.champion == champion:
        return _standing(training)
    return _changed(store, training, pin=Pin(_since(training), champion=champion), occasion=Occasion("promote"))


@_persistently
def roll_back(settings: Settings, database: Database, wanted: str = "") -> Pinned:
    """Put an older version back in force, under a new number, until it is unpinned; the trainer learns on unseen.

    Parameters
    ----------
    wanted
        The beginning of a scorer's version; empty for the one before the last essential change.

    Raises
    ------
    InputError
        When there is no such version, or its bytes have been pruned.
    NotTrained
        Before anything has been published.
    IncompatibleArtifact, FeatureMismatch
        When this build cannot score with it.
    StoreConflict
        When a running trainer saved each time meanwhile.
    StoreUnavailable
        When a retry may help.

    Notes
    -----
    The new number has the trainer's event time as ``learned_through_at``: what had been scored before stays as it was
    scored, and from then on no later snapshot answers.
    """
    store, training = _opened(settings, database)
    stored = _scorers(database)
    found = _version(stored, wanted) if wanted else _version_before(database, training, stored)
    pin = training.state.registry.pin
    if pin and pin.version == found.version:
        return _standing(training)
    if found.version == training.state.registry.parent:
        raise InputError(f"version {found.version} answers already", _LISTED)
    snapshot = _usable(settings, database, found)
    pin = Pin(_since(training), version=found.version)
    return _changed(store, training, pin=pin, occasion=Occasion("rollback", found.version), restored=snapshot)


@_persistently
def unpin(settings: Settings, database: Database) -> Pinned:
    """Let the error decide again, and publish what has been learned by now.

    Raises
    ------
    InputError
        When nothing is pinned.
    NotTrained
        Before anything has been published.
    StoreConflict
        When a running trainer saved each time meanwhile.
    StoreUnavailable
        When a retry may help.
    """
    store, training = _opened(settings, database)
    if training.state.registry.pin is None:
        raise InputError("nothing is pinned", "clv models history says what was")
    return _changed(store, training, pin=None, occasion=Occasion("unpin"))


def _opened(settings: Settings, database: Database) -> tuple[TrainerStore, Training]:
    store = TrainerStore(settings, database)
    store.load()
    training = store.training()
    if not training.state.registry.parent:
        raise NotTrained("no model has been published yet", "send orders first, then `clv train`, or wait")
    return store, training


def _since(training: Training) -> str:
    return rfc3339(max(training.state.through_ms, training.state.snapshot_ms))


def _changed(
    store: TrainerStore,
    training: Training,
    *,
    pin: Pin | None,
    occasion: Occasion,
    restored: ScorerSnapshot | None = None,
) -> Pinned:
    """Pin, publish and store; return what answers from now on."""
    training.pin(pin)
    published = training.publish(occasion, restored)
    store.save(training, published)
    return _standing(training)._replace(is_new=True, events=published.events)


def _standing(training: Training) -> Pinned:
    registry = training.state.registry
    switch = registry.switch
    return Pinned(
        version=registry.parent,
        champion=switch.after if switch else training.learner.champion,
        pinned=registry.pinned,
        since=registry.pin.since if registry.pin else "",
        is_new=False,
        events=[event for event in training.state.outbox if isinstance(event, ModelAnnounced)],
    )


def _candidate(database: Database, training: Training, wanted: str) -> str:
    candidates = training.learner.candidates()
    if wanted in candidates:
        return wanted
    stored = _scorers(database)
    versions = ScorerSnapshot.from_bytes(get_artifact(database, stored[0].digest)).model_versions
    named = [name for name in candidates if wanted and getattr(versions, name, "").startswith(wanted)]
    if len(named) == 1:
        return named[0]
    if wanted and any(one.version.startswith(wanted) for one in stored):
        raise InputError(f"{wanted!r} is a whole version, not a candidate", f"clv models rollback {wanted}")
    raise InputError(
        f"no candidate is called {wanted!r}, nor does the version of one part in use begin so",
        f"candidates: {', '.join(candidates) or 'none yet'}",
    )


def _scorers(database: Database) -> list[StoredArtifact]:
    """Return the stored scorers, newest first; pruning keeps them few."""
    return newest_artifacts(database, SCORER_NAME, up_to_version="~", limit=_MOST_SCORERS)


def _version(stored: list[StoredArtifact], wanted: str) -> StoredArtifact:
    found = [one for one in stored if one.version == wanted]
    found = found or [one for one in stored if one.version.startswith(wanted)]
    if len(found) != 1:
        says = "no stored scorer's version begins" if not found else f"{len(found)} scorers' versions begin"
        raise InputError(f"{says} with {wanted!r}", _LISTED)
    return found[0]


def _version_before(database: Database, training: Training, stored: list[StoredArtifact]) -> StoredArtifact:
    """Return the version whose card came before the one that answers; a rollback stands for what it has restored."""
    cards = [ModelCard.from_json(row.card) for row in read_cards(database)]
    answering = cards[-1].restores or cards[-1].version if cards else training.state.registry.parent
    by_version = {one.version: one for one in stored}
    for card in reversed(cards):
        found = by_version.get(card.restores) or by_version.get(card.version)
        if card.version < answering and found:
            return found
    raise InputError("there is no earlier version to go back to", _LISTED)


def _usable(settings: Settings, database: Database, found: StoredArtifact) -> ScorerSnapshot:
    snapshot = ScorerSnapshot.from_bytes(get_artifact(database, found.digest))
    if snapshot.horizon_days != settings.horizon_days:
        raise FeatureMismatch(
            f"version {snapshot.version} predicts {snapshot.horizon_days} days ahead, not {settings.horizon_days}",
            "choose one of this horizon: clv models list --all",
        )
    if snapshot.ensemble_digest:
        try:
            get_artifact(database, snapshot.ensemble_digest)
        except IncompatibleArtifact as problem:
            raise InputError(f"the ensemble of {snapshot.version} is no longer stored", _LISTED) from problem
    return snapshot
