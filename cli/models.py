"""``clv models``: published models and what they were worth.

Example: ``clv models list``
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clv.outcomes import ModelAnnounced
    from models.snapshot import ScorerSnapshot
    from storage.engine import Database

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
_JSON = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.command("list")
def show_all(
    *,
    is_all: Annotated[bool, typer.Option("--all", help="Earlier versions too.")] = False,
    is_json: _JSON = False,
) -> None:
    """List the models in use: name, version, role, what they have learned through, and their error so far.

    Example:
        clv models list --json
    """
    announced, snapshot = _read()
    rows = [describe(model, role_of(model, announced, snapshot)) for model in announced]
    shown = [row for row in rows if is_all or row["role"] != "past"]
    if is_json:
        typer.echo(json.dumps({"models": shown}, indent=2))
        return
    if not shown:
        typer.echo("no model is published yet", err=True)
    for row in shown:
        figures = "  ".join(f"{name} {figure:,.4g}" for name, figure in row["metrics"].items())
        typer.echo(
            f"{row['name']:<15} {row['version']:<20} {row['role']:<11} {row['learned_through_at']:<21} {figures}"
        )


@app.command("show")
def show_one(
    version: Annotated[str, typer.Argument(help="A version, or as much of its beginning as is needed.")],
    *,
    is_json: _JSON = False,
) -> None:
    """Show all that is known of a version.

    Example:
        clv models show 000012-abcdef012345
    """
    from clv.errors import InputError

    announced, snapshot = _read()
    found = [model for model in announced if model.version == version]
    found = found or [model for model in announced if model.version.startswith(version)]
    if len(found) != 1:
        says = "no version begins" if not found else f"{len(found)} versions begin"
        raise InputError(f"{says} with {version!r}", "clv models list --all")
    model = found[0]
    shown = describe(model, role_of(model, announced, snapshot))
    shown |= {"digest": model.digest, "feature_digest": model.feature_digest, "event_id": model.event_id}
    if snapshot and snapshot.version == model.version:
        base = snapshot.btyd
        shown["champion"] = snapshot.champion
        shown["weights"] = snapshot.weights
        shown["customers"] = base.customer_count if base else 0
        shown["repeat_customers"] = base.repeat_customer_count if base else 0
    if is_json:
        typer.echo(json.dumps(shown, indent=2))
        return
    for name, figure in shown.items():
        typer.echo(f"{name.replace('_', ' '):>18}  {figure}")


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

    if model.name not in MEMBERS:
        newest = max((other.version for other in announced if other.name == model.name), default="")
        return "current" if model.version == newest else "past"
    if snapshot is None or getattr(snapshot.model_versions, model.name) != model.version:
        return "past"
    is_answering = snapshot.champion == model.name or (snapshot.champion == BLEND and model.name in snapshot.weights)
    return "champion" if is_answering else "challenger"


def describe(model: ModelAnnounced, role: str) -> dict[str, Any]:
    """Return a version as plain data; errors in the currency's major unit."""
    from cli.accuracy import error_figures
    from clv.money import minor_digits
    from clv.settings import Settings

    digits = minor_digits(Settings.from_env().currency)
    return {
        "name": model.name,
        "version": model.version,
        "role": role,
        "learned_through_at": model.learned_through_at,
        "metrics": error_figures(model.metrics, digits),
    }


def _read() -> tuple[list[ModelAnnounced], ScorerSnapshot | None]:
    from clv.settings import Settings
    from storage.engine import Database
    from storage.learning import read_models

    database = Database(Settings.from_env().sql_url)
    try:
        return read_models(database), _newest_snapshot(database)
    finally:
        database.close()


def _newest_snapshot(database: Database) -> ScorerSnapshot | None:
    from models.snapshot import ScorerSnapshot
    from storage.artifacts import get_artifact, newest_artifacts
    from streams.policies import SCORER_NAME

    newest = newest_artifacts(database, SCORER_NAME, up_to_version="~", limit=1)
    return ScorerSnapshot.from_bytes(get_artifact(database, newest[0].digest)) if newest else None
