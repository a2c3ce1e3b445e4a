"""``clv keys``: API keys.

Example: ``clv keys create shop-backend --scope read --scope predict``
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from storage.engine import Database

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
_JSON = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="Who uses it.")],
    *,
    scopes: Annotated[list[str], typer.Option("--scope", help="read, predict or operate; may be repeated.")],
    is_json: _JSON = False,
) -> None:
    """Make a key and print it: it is to be seen this once. From then on every caller needs one.

    Example:
        clv keys create dashboard --scope read
    """
    from storage.api_keys import create_key

    with _database() as database:
        key = create_key(database, name, scopes)
    if is_json:
        typer.echo(json.dumps({"key": key, "name": name, "scopes": scopes}))
        return
    typer.echo(key)
    typer.echo("keep it: it cannot be shown again; send it as `Authorization: Bearer KEY`", err=True)


@app.command("rotate")
def rotate(
    key_id: Annotated[str, typer.Argument(help="As `clv keys list` shows it.")],
    *,
    overlap_hours: Annotated[float, typer.Option(help="How long the old key still holds.")] = 24.0,
    is_json: _JSON = False,
) -> None:
    """Make a key of the same name and scopes in place of another, and print it; the old one holds on for a while.

    Example:
        clv keys rotate 3f2a9c0d1e5b --overlap-hours 2
    """
    from storage.api_keys import rotate_key

    with _database() as database:
        key = rotate_key(database, key_id, overlap_hours=overlap_hours)
    if is_json:
        typer.echo(json.dumps({"key": key, "replaces": key_id, "overlap_hours": overlap_hours}))
        return
    typer.echo(key)
    typer.echo(f"keep it: it cannot be shown again; {key_id} holds for {overlap_hours:g} hours more", err=True)


@app.command("list")
def show(*, is_json: _JSON = False) -> None:
    """List the keys that were made, without their secrets.

    Example:
        clv keys list
    """
    from clv.outcomes import rfc3339
    from storage.api_keys import list_keys

    with _database() as database:
        keys = [
            {
                "id": key.key_id,
                "name": key.name,
                "scopes": sorted(key.scopes),
                "created_at": rfc3339(key.created_ms),
                "revoked_at": rfc3339(key.revoked_ms),
            }
            for key in list_keys(database)
        ]
    if is_json:
        typer.echo(json.dumps({"keys": keys}, indent=2))
        return
    for key in keys:
        state = f"until {key['revoked_at']}" if key["revoked_at"] else "in force"
        typer.echo(f"{key['id']}  {key['name']:<24} {','.join(key['scopes']):<24} {key['created_at']:<24} {state}")


@app.command("revoke")
def revoke(key_id: Annotated[str, typer.Argument(help="As `clv keys list` shows it.")]) -> None:
    """Let a key hold no longer; running APIs notice within five seconds.

    Example:
        clv keys revoke 3f2a9c0d1e5b
    """
    from storage.api_keys import revoke_key

    with _database() as database:
        revoke_key(database, key_id)
    typer.echo(f"{key_id} holds no longer")


@contextmanager
def _database() -> Iterator[Database]:
    from clv.settings import Settings
    from storage.engine import Database
    from storage.schema import upgrade

    url = Settings.from_env().sql_url
    upgrade(url)
    database = Database(url)
    try:
        yield database
    finally:
        database.close()
