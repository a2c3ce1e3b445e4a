"""What the database says of published models, for people: what is in use, what it was worth, and who is pinned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from msgspec.structs import replace

from cli.accuracy import error_figures
from cli.cards import event_figures, window_of
from clv.errors import InputError
from clv.money import minor_digits
from clv.outcomes import ModelAnnounced, event_id
from clv.published import POLICY_NAME, SCORER_NAME
from clv.settings import Settings
from models.card import ModelCard
from models.snapshot import BLEND, MEMBERS, ScorerSnapshot
from storage.artifacts import get_artifact, newest_artifacts
from storage.cards import pin_in_force, read_cards
from storage.engine import Database
from storage.learning import read_models
from storage.schema import require_current

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from storage.cards import StoredEvent

T = TypeVar("T")


class Known(NamedTuple):
    """What the database says of models; ``announced`` and ``cards`` oldest first, ``pin`` what holds now."""

    announced: list[ModelAnnounced]
    cards: dict[str, ModelCard]
    snapshot: ScorerSnapshot | None
    pin: StoredEvent | None


def role_of(model: ModelAnnounced, announced: Sequence[ModelAnnounced], snapshot: ScorerSnapshot | None) -> str:
    """Return what a version does now.

    Parameters
    ----------
    announced
        All versions, oldest knowledge first.
    snapshot
        The newest scorer.

    Returns
    -------
    str
        ``champion``: its answer is given out, alone or in the blend; ``challenger``: it only shadows; ``current``:
        the newest scorer or policy; ``past``.
    """
    members = (*MEMBERS, *(snapshot.custom if snapshot else ()))
    if model.name not in members:
        newest = max((other.version for other in announced if other.name == model.name), default="")
        return "current" if model.version == newest else "past"
    if snapshot is None or getattr(snapshot.model_versions, model.name, model.version) != model.version:
        return "past"
    is_answering = snapshot.champion == model.name or (snapshot.champion == BLEND and model.name in snapshot.weights)
    return "champion" if is_answering else "challenger"


def describe(model: ModelAnnounced, role: str) -> dict[str, Any]:
    """Return a version as plain data; errors in the currency's major unit."""
    return {
        "name": model.name,
        "version": model.version,
        "role": role,
        "learned_through_at": model.learned_through_at,
        "metrics": error_figures(model.metrics, digits()),
    }


def custom(known: Known) -> list[ModelAnnounced]:
    """Return the custom models in use as if they had been announced: they travel in the ensemble, under its version."""
    if known.snapshot is None or not known.snapshot.custom:
        return []
    version = known.snapshot.model_versions.ensemble
    around = [model for model in known.announced if (model.name, model.version) == ("ensemble", version)]
    judged = known.cards[max(known.cards)].metrics if known.cards else {}
    return [replace(one, name=name, metrics=judged.get(name, {})) for one in around for name in known.snapshot.custom]


def row(model: ModelAnnounced, known: Known) -> dict[str, Any]:
    """Return a version with what the cards say of it: a scorer's its own, a part's the newest."""
    role = role_of(model, known.announced, known.snapshot)
    card = card_of(model, known) if model.name == SCORER_NAME else None
    judged = card or (known.cards[max(known.cards)] if known.cards and role != "past" else None)
    name = card.champion if card else model.name
    pinned = known.pin and (known.pin.to_champion if known.pin.cause == "promote" else SCORER_NAME)
    return describe(model, role) | {
        "champion": card.champion if card else None,
        "window": window_of(judged) if judged and model.name != POLICY_NAME else None,
        "relative_deviance": judged.relative_errors.get(name) if judged else None,
        "is_pinned": role != "past" and model.name == pinned,
    }


def pin_figures(known: Known) -> dict[str, str] | None:
    """Return what a person has fixed, as plain data; None where nothing is."""
    if known.pin is None:
        return None
    restores = event_figures(known.pin)["evidence"]["restores"]
    return {"cause": known.pin.cause, "champion": known.pin.to_champion, "restores": restores}


def held(known: Known) -> str:
    """Return that as words to end a line with; empty where nothing is."""
    pin = pin_figures(known)
    if pin is None:
        return ""
    restores = f" to {pin['restores']}" if pin["restores"] else ""
    return f", pinned by {pin['cause']}{restores} until clv models unpin"


def find(known: Known, version: str) -> ModelAnnounced:
    """Return the version that begins so.

    Raises
    ------
    InputError
        When there is none, or more than one.
    """
    found = [model for model in known.announced if model.version == version]
    found = found or [model for model in known.announced if model.version.startswith(version)]
    if len(found) != 1:
        says = "no version begins" if not found else f"{len(found)} versions begin"
        raise InputError(f"{says} with {version!r}", "clv models list --all")
    return found[0]


def card_of(model: ModelAnnounced, known: Known) -> ModelCard | None:
    """Return a scorer's card, or the newest before it; None for others."""
    newest = max((version for version in known.cards if version <= model.version), default="")
    return known.cards[newest] if newest and model.name == SCORER_NAME else None


def read() -> Known:
    """Return what the database of the settings says.

    Raises
    ------
    StoreError
        When it cannot be read, or is of another build.
    """
    return with_database(lambda _, database: _known(database))


def _known(database: Database) -> Known:
    cards = {row.version: ModelCard.from_json(row.card) for row in read_cards(database)}
    announced = read_models(database)
    listed = {model.version for model in announced}
    # What is stored answers once it is announced; until the sink has stored that, its card speaks for it.
    announced += [_announced(card) for card in cards.values() if card.version not in listed]
    return Known(announced, cards, _newest_snapshot(database), pin_in_force(database))


def _announced(card: ModelCard) -> ModelAnnounced:
    return ModelAnnounced(
        event_id("model", card.name, card.version),
        card.name,
        card.version,
        card.digest,
        card.learned_through_at,
        card.feature_digest,
        card.metrics.get("clv", {}),
    )


def _newest_snapshot(database: Database) -> ScorerSnapshot | None:
    newest = newest_artifacts(database, SCORER_NAME, up_to_version="~", limit=1)
    return ScorerSnapshot.from_bytes(get_artifact(database, newest[0].digest)) if newest else None


def with_database(action: Callable[[Settings, Database], T]) -> T:
    """Return what an action makes of the settings' database, which must be of this build."""
    settings = Settings.from_env()
    database = Database(settings.sql_url)
    try:
        require_current(database)
        return action(settings, database)
    finally:
        database.close()


def digits() -> int:
    """Return the decimals of the reporting currency."""
    return minor_digits(Settings.from_env().currency)
