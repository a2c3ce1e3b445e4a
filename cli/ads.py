"""``clv ads``: deliver audiences to an ad platform.

Example: ``clv ads sync --dry-run``
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ads.sync import AudienceReport

app = typer.Typer(invoke_without_command=True, rich_markup_mode=None)
_JSON = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.callback()
def role(context: typer.Context) -> None:
    """Run the ads role: follow scores, and synchronise audiences once in CLV_ADS_WINDOW.

    Where they go is CLV_ADS_PLATFORM: CSV files by default, meta, google or tiktok.

    Example:
        CLV_BROKER=kafka:9092 CLV_ADS_PLATFORM=meta clv ads
    """
    if context.invoked_subcommand is not None:
        return
    import signal
    import threading

    import structlog

    from ads.role import run_ads
    from cli.sending import with_broker
    from clv.settings import Settings

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    log = structlog.get_logger(__name__)
    log.info("started", role="ads")
    run_ads(with_broker(Settings.from_env(), ""), stop)
    log.info("stopped", role="ads")


@app.command("sync")
def sync(
    *,
    is_once: Annotated[bool, typer.Option("--once", help="Synchronise once and end, as it does anyway.")] = False,
    is_dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would change, and why; send nothing.")
    ] = False,
    allows_large: Annotated[
        bool, typer.Option("--allow-large", help="Move more of an audience than CLV_ADS_MOST_MOVED_SHARE.")
    ] = False,
    retries_rejected: Annotated[
        bool, typer.Option("--retry-rejected", help="Try those again that the platform refused.")
    ] = False,
    is_json: _JSON = False,
) -> None:
    """Bring every audience to what the scores want, now.

    Exits with 1 when an audience could not be brought there; the table says why.

    Example:
        clv ads sync --dry-run
    """
    del is_once
    import contextlib

    from rich.console import Console

    from ads.sync import Options
    from cli.audiences import synchronise
    from clv.settings import Settings
    from storage.engine import Database
    from storage.schema import require_current

    settings = Settings.from_env()
    options = Options(
        is_dry_run=is_dry_run,
        most_moved_share=settings.ads_most_moved_share,
        allows_large=allows_large,
        retries_rejected=retries_rejected,
    )
    with contextlib.closing(Database(settings.sql_url)) as database:
        require_current(database)
        with Console(stderr=True).status(f"synchronising audiences with {settings.ads_platform}"):
            reports = synchronise(settings, database, options)
    if is_json:
        shown = {"platform": settings.ads_platform, "is_dry_run": is_dry_run, "audiences": [_plain(r) for r in reports]}
        typer.echo(json.dumps(shown, indent=2))
    else:
        _show(settings.ads_platform, reports, is_dry_run=is_dry_run)
    if any(report.status in ("refused", "failed", "asks") for report in reports):
        raise typer.Exit(1)


def _plain(report: AudienceReport) -> dict[str, object]:
    import msgspec

    shown: dict[str, object] = msgspec.to_builtins(report)
    return shown


def _show(platform: str, reports: list[AudienceReport], *, is_dry_run: bool) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"Audiences at {platform}" + (", what would change" if is_dry_run else ""))
    for name in ("audience", "wanted", "present", "added", "updated", "removed", "rejected", "status"):
        table.add_column(name, justify="left" if name in ("audience", "status") else "right")
    for report in reports:
        figures = (report.wanted, report.present, report.added, report.updated, report.removed)
        status = f"waiting until {report.waiting_until}" if report.waiting_until else report.status
        table.add_row(report.name, *(f"{figure:,}" for figure in figures), f"{sum(report.rejected.values()):,}", status)
    console = Console()
    console.print(table)
    for report in reports:
        for why, count in sorted(
            (*report.reasons.items(), *(("not told: " + w, n) for w, n in report.rejected.items()))
        ):
            console.print(f"  {report.name}: {count:,} {why}", highlight=False)
        if report.unexplained:
            console.print(f"  {report.name}: {report.unexplained:,} refused without a reason", highlight=False)
        if report.detail:
            console.print(f"  {report.name}: {report.detail}", highlight=False)
