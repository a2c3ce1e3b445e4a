"""``clv models``: published models, what they were worth, and who answers.

Example: ``clv models list``
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypeVar

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from clv.outcomes import ModelAnnounced
    from clv.settings import Settings
    from models.card import ModelCard
    from models.snapshot import ScorerSnapshot
    from storage.cards import StoredEvent
    from storage.engine import Database
    from streams.pinning import Pinned

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
T = TypeVar("T")
_JSON = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


class Known(NamedTuple):
    """What the database says of models; ``announced`` and ``cards`` oldest first, ``pin`` what holds now."""

    announced: list[ModelAnnounced]
    cards: dict[str, ModelCard]
    snapshot: ScorerSnapshot | None
    pin: StoredEvent | None


@app.command("list")
def show_all(
    *,
    is_all: Annotated[bool, typer.Option("--all", help="Earlier versions too.")] = False,
    is_json: _JSON = False,
) -> None:
    """List the models in use: version, role, the days of their examples, error against BTYD's, and error so far.

    Example:
        clv models list --json
    """
    from cli.cards import days, pairs, ratio

    known = _read()
    rows = [_row(model, known) for model in (*known.announced, *_custom(known))]
    shown = [row for row in rows if is_all or row["role"] != "past"]
    champion = known.snapshot.champion if known.snapshot else "prior"
    if is_json:
        typer.echo(json.dumps({"models": shown, "champion": champion, "pinned": _pin(known)}, indent=2))
        return
    if not shown:
        typer.echo("no model is published yet", err=True)
    for row in shown:
        role = "pinned" if row["is_pinned"] else row["role"]
        typer.echo(
            f"{row['name']:<15} {row['version']:<20} {role:<11} {row['learned_through_at']:<24} "
            f"{days(row['window']):<22} vs btyd {ratio(row['relative_deviance']):<7} {pairs(row['metrics'])}"
        )
    if shown:
        typer.echo(f"champion: {champion}{_held(known)}")


@app.command("show")
def show_one(
    version: Annotated[str, typer.Argument(help="A version, or as much of its beginning as is needed.")],
    *,
    is_json: _JSON = False,
) -> None:
    """Show all that is known of a version: its model card, for a scorer.

    A scorer that changed nothing essential has no card of its own: then the newest before it is shown.

    Example:
        clv models show 000012-abcdef012345
    """
    import msgspec

    from cli.cards import card_lines

    known = _read()
    model = _find(known, version)
    card = _card_of(model, known)
    shown = _row(model, known)
    shown |= {"digest": model.digest, "feature_digest": model.feature_digest, "event_id": model.event_id}
    if card:
        shown |= {"champion": card.champion, "weights": card.weights}
        shown |= {"customers": card.customers, "repeat_customers": card.repeat_customers}
        shown |= {"card_of": card.version, "card": msgspec.to_builtins(card)}
    if is_json:
        typer.echo(json.dumps(shown, indent=2))
        return
    for name in ("name", "version", "role", "learned_through_at", *(() if card else ("metrics", "digest"))):
        typer.echo(f"{name.replace('_', ' '):>18}  {shown[name]}")
    if card:
        if card.version != model.version:
            typer.echo(f"{'card of':>18}  {card.version}")
        for line in card_lines(card, digits=_digits()):
            typer.echo(line)


@app.command("history")
def show_history(*, is_json: _JSON = False) -> None:
    """List every switch of the champion with its evidence, and what was promoted, rolled back and unpinned.

    Example:
        clv models history
    """
    from cli.cards import event_figures, event_line
    from storage.cards import read_events

    events = [event_figures(event) for event in _with_database(lambda _, database: read_events(database))]
    if is_json:
        typer.echo(json.dumps({"events": events}, indent=2))
        return
    if not events:
        typer.echo("no model is published yet", err=True)
    for event in events:
        typer.echo(event_line(event))


@app.command("promote")
def promote(
    model: Annotated[
        str, typer.Argument(help="btyd, glm, online, ensemble, blend or a custom model, or a version in use.")
    ],
    *,
    is_json: _JSON = False,
) -> None:
    """Let a model answer from now on, whatever its error, until it is unpinned.

    Example:
        clv models promote online
    """
    from streams.pinning import promote as action

    _change(lambda settings, database: action(settings, database, model), is_json=is_json)


@app.command("rollback")
def roll_back(
    version: Annotated[
        str, typer.Argument(help="A scorer's version, or its beginning; else the one before the last change.")
    ] = "",
    *,
    is_json: _JSON = False,
) -> None:
    """Put an older version back in force until it is unpinned; the trainer learns on, and publishes no other.

    Example:
        clv models rollback 000012
    """
    from streams.pinning import roll_back as action

    _change(lambda settings, database: action(settings, database, version), is_json=is_json)


@app.command("unpin")
def unpin(*, is_json: _JSON = False) -> None:
    """Let the error decide again who answers, and publish what has been learned by now.

    Example:
        clv models unpin
    """
    from streams.pinning import unpin as action

    _change(action, is_json=is_json)


def _change(action: Callable[[Settings, Database], Pinned], *, is_json: bool) -> None:
    from streams.retraining import announce_now

    def change(settings: Settings, database: Database) -> tuple[Pinned, str]:
        changed = action(settings, database)
        return changed, announce_now(settings, [*changed.events])

    result, problem = _with_database(change)
    report = {name: value for name, value in result._asdict().items() if name != "events"}
    if is_json:
        typer.echo(json.dumps(report | {"announced": not problem, "not_announced": problem}, indent=2))
        return
    pinned = f"pinned: {result.pinned}, since {result.since}" if result.pinned else "nothing is pinned"
    was = "" if result.is_new else ", as before"
    typer.echo(f"{result.version} answers, champion {result.champion}{was}; {pinned}")
    if problem:
        typer.echo(f"stored, and not announced: {problem}; the trainer announces it when it starts", err=True)


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
    from models.snapshot import BLEND, MEMBERS

    custom = snapshot.custom if snapshot else ()
    if model.name not in (*MEMBERS, *custom):
        newest = max((other.version for other in announced if other.name == model.name), default="")
        return "current" if model.version == newest else "past"
    if snapshot is None or getattr(snapshot.model_versions, model.name, model.version) != model.version:
        return "past"
    is_answering = snapshot.champion == model.name or (snapshot.champion == BLEND and model.name in snapshot.weights)
    return "champion" if is_answering else "challenger"


def describe(model: ModelAnnounced, role: str) -> dict[str, Any]:
    """Return a version as plain data; errors in the currency's major unit."""
    from cli.accuracy import error_figures

    return {
        "name": model.name,
        "version": model.version,
        "role": role,
        "learned_through_at": model.learned_through_at,
        "metrics": error_figures(model.metrics, _digits()),
    }


def _custom(known: Known) -> list[ModelAnnounced]:
    """Return the custom models in use as if they had been announced: they travel in the ensemble, under its version."""
    from msgspec.structs import replace

    if known.snapshot is None or not known.snapshot.custom:
        return []
    version = known.snapshot.model_versions.ensemble
    around = [model for model in known.announced if (model.name, model.version) == ("ensemble", version)]
    judged = known.cards[max(known.cards)].metrics if known.cards else {}
    return [replace(one, name=name, metrics=judged.get(name, {})) for one in around for name in known.snapshot.custom]


def _row(model: ModelAnnounced, known: Known) -> dict[str, Any]:
    """Return a version with what the cards say of it: a scorer's its own, a part's the newest."""
    from cli.cards import window_of
    from streams.policies import POLICY_NAME, SCORER_NAME

    role = role_of(model, known.announced, known.snapshot)
    card = _card_of(model, known) if model.name == SCORER_NAME else None
    judged = card or (known.cards[max(known.cards)] if known.cards and role != "past" else None)
    name = card.champion if card else model.name
    held = known.pin and (known.pin.to_champion if known.pin.cause == "promote" else SCORER_NAME)
    return describe(model, role) | {
        "champion": card.champion if card else None,
        "window": window_of(judged) if judged and model.name != POLICY_NAME else None,
        "relative_deviance": judged.relative_errors.get(name) if judged else None,
        "is_pinned": role != "past" and model.name == held,
    }


def _pin(known: Known) -> dict[str, str] | None:
    from cli.cards import event_figures

    if known.pin is None:
        return None
    restores = event_figures(known.pin)["evidence"]["restores"]
    return {"cause": known.pin.cause, "champion": known.pin.to_champion, "restores": restores}


def _held(known: Known) -> str:
    pin = _pin(known)
    if pin is None:
        return ""
    restores = f" to {pin['restores']}" if pin["restores"] else ""
    return f", pinned by {pin['cause']}{restores} until clv models unpin"


def _find(known: Known, version: str) -> ModelAnnounced:
    from clv.errors import InputError

    found = [model for model in known.announced if model.version == version]
    found = found or [model for model in known.announced if model.version.startswith(version)]
    if len(found) != 1:
        says = "no version begins" if not found else f"{len(found)} versions begin"
        raise InputError(f"{says} with {version!r}", "clv models list --all")
    return found[0]


def _card_of(model: ModelAnnounced, known: Known) -> ModelCard | None:
    from streams.policies import SCORER_NAME

    newest = max((version for version in known.cards if version <= model.version), default="")
    return known.cards[newest] if newest and model.name == SCORER_NAME else None


def _read() -> Known:
    return _with_database(lambda _, database: _known(database))


def _known(database: Database) -> Known:
    from models.card import ModelCard
    from storage.cards import pin_in_force, read_cards
    from storage.learning import read_models

    cards = {row.version: ModelCard.from_json(row.card) for row in read_cards(database)}
    announced = read_models(database)
    listed = {model.version for model in announced}
    # What is stored answers once it is announced; until the sink has stored that, its card speaks for it.
    announced += [_announced(card) for card in cards.values() if card.version not in listed]
    return Known(announced, cards, _newest_snapshot(database), pin_in_force(database))


def _announced(card: ModelCard) -> ModelAnnounced:
    from clv.outcomes import ModelAnnounced, event_id

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
    from models.snapshot import ScorerSnapshot
    from storage.artifacts import get_artifact, newest_artifacts
    from streams.policies import SCORER_NAME

    newest = newest_artifacts(database, SCORER_NAME, up_to_version="~", limit=1)
    return ScorerSnapshot.from_bytes(get_artifact(database, newest[0].digest)) if newest else None


def _with_database(action: Callable[[Settings, Database], T]) -> T:
    from clv.settings import Settings
    from storage.engine import Database
    from storage.schema import require_current

    settings = Settings.from_env()
    database = Database(settings.sql_url)
    try:
        require_current(database)
        return action(settings, database)
    finally:
        database.close()


def _digits() -> int:
    from clv.money import minor_digits
    from clv.settings import Settings

    return minor_digits(Settings.from_env().currency)
