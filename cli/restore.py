"""``clv restore``: a database made from a backup."""

from __future__ import annotations

import json
from pathlib import Path  # noqa: TC003  # typer reads the annotations
from typing import Annotated

import typer


def command(
    file: Annotated[Path, typer.Argument(help="What `clv backup` wrote.", show_default=False)],
    *,
    replace: Annotated[bool, typer.Option("--replace", help="Drop what the database holds.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Only read the file and compare its digests.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Make the database from a backup, all or nothing; a backup of SQLite can be restored on PostgreSQL, and back.

    The whole file is compared with its digests first. Start the sink afterwards, then the trainer, then the rest: the
    topics bring what came since (docs/backup.md).

    Example:
        CLV_DATABASE_URL=postgresql://clv@db/clv clv restore /backups/clv-2025-03-14.clvbackup
    """
    import time

    from cli.archiving import archive_progress
    from clv.settings import Settings
    from storage.archive import check_archive, read_manifest, restore_archive

    settings = Settings.from_env()
    rows = read_manifest(file).rows
    with archive_progress("checking", rows) as observe:
        manifest = check_archive(file, observe=observe)
    if not check:
        now_ms = round(time.time() * 1000)
        with archive_progress("restoring", rows) as observe:
            restore_archive(settings.sql_url, file, replace=replace, now_ms=now_ms, observe=observe)
    if as_json:
        typer.echo(json.dumps({"rows": rows, "revision": manifest.revision, "is_restored": not check}))
        return
    typer.echo(f"{rows:,} rows of {len(manifest.tables)} tables {'are whole' if check else 'restored'}")
    suppressed = next((entry.rows for entry in manifest.tables if entry.name == "suppressions"), 0)
    has_key = bool(settings.suppression_key) or (settings.data_dir / "suppression.key").exists()
    if suppressed and not has_key and not check:
        typer.echo(f"{suppressed} suppressions cannot be read without the suppression key: put it back first", err=True)
