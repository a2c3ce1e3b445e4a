"""``clv models``: published models, what they were worth, and who answers.

Example: ``clv models list``
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

    from clv.settings import Settings
    from storage.engine import Database
    from streams.pinning import Pinned

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
_JSON = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


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
    from cli import published
    from cli.cards import days, pairs, ratio

    known = published.read()
    rows = [published.row(model, known) for model in (*known.announced, *published.custom(known))]
    shown = [row for row in rows if is_all or row["role"] != "past"]
    champion = known.snapshot.champion if known.snapshot else "prior"
    if is_json:
        typer.echo(
            json.dumps({"models": shown, "champion": champion, "pinned": published.pin_figures(known)}, indent=2)
        )
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
        typer.echo(f"champion: {champion}{published.held(known)}")


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

    from cli import published
    from cli.cards import card_lines

    known = published.read()
    model = published.find(known, version)
    card = published.card_of(model, known)
    shown = published.row(model, known)
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
        for line in card_lines(card, digits=published.digits()):
            typer.echo(line)


@app.command("history")
def show_history(*, is_json: _JSON = False) -> None:
    """List every switch of the champion with its evidence, and what was promoted, rolled back and unpinned.

    Example:
        clv models history
    """
    from cli import published
    from cli.cards import event_figures, event_line
    from storage.cards import read_events

    events = [event_figures(event) for event in published.with_database(lambda _, database: read_events(database))]
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
    from cli import published
    from streams.retraining import announce_now

    def change(settings: Settings, database: Database) -> tuple[Pinned, str]:
        changed = action(settings, database)
        return changed, announce_now(settings, [*changed.events])

    result, problem = published.with_database(change)
    report = {name: value for name, value in result._asdict().items() if name != "events"}
    if is_json:
        typer.echo(json.dumps(report | {"announced": not problem, "not_announced": problem}, indent=2))
        return
    pinned = f"pinned: {result.pinned}, since {result.since}" if result.pinned else "nothing is pinned"
    was = "" if result.is_new else ", as before"
    typer.echo(f"{result.version} answers, champion {result.champion}{was}; {pinned}")
    if problem:
        typer.echo(f"stored, and not announced: {problem}; the trainer announces it when it starts", err=True)
