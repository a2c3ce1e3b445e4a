"""``clv backup``: the database as one file, taken while everything runs."""

from __future__ import annotations

import json
from pathlib import Path  # noqa: TC003  # typer reads the annotations
from typing import Annotated

import typer


def command(
    file: Annotated[Path, typer.Argument(help="New file, .clvbackup by custom.", show_default=False)],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Copy the database into one file: all tables as they are at one moment, models and offsets among them.

    Roles may go on meanwhile. The file holds customers' ids and what they bought: its owner alone may read it. The
    suppression key is not in it. What is in topics and not yet in the database comes back from there: docs/backup.md.

    Example:
        clv backup /backups/clv-2025-03-14.clvbackup
    """
    import time

    from cli.archiving import archive_progress
    from clv.settings import Settings
    from storage.archive import count_kept, write_archive
    from storage.engine import Database

    settings = Settings.from_env()
    database = Database(settings.sql_url)
    try:
        with archive_progress("backing up", sum(count_kept(database).values())) as observe:
            manifest = write_archive(database, file, now_ms=round(time.time() * 1000), observe=observe)
    finally:
        database.close()
    if as_json:
        counts = {entry.name: entry.rows for entry in manifest.tables}
        typer.echo(
            json.dumps({"file": str(file), "bytes": file.stat().st_size, "rows": manifest.rows, "tables": counts})
        )
        return
    typer.echo(f"{manifest.rows:,} rows of {len(manifest.tables)} tables in {file}, {file.stat().st_size:,} bytes")
    key = settings.data_dir / "suppression.key"
    if key.exists():
        typer.echo(f"keep {key} too, elsewhere: without it nobody knows who must not be advertised to", err=True)
