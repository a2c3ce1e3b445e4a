"""``clv ads``: deliver audiences to an ad platform.

Example: ``clv ads sync --dry-run``
"""

from __future__ import annotations

import json
from pathlib import Path  # noqa: TC003  # typer reads annotations
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping

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


@app.command("import-performance")
def import_performance(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="CSV with a line a campaign and day.")],
    *,
    platform: Annotated[str, typer.Option(help="Whose figures they are.")] = "meta",
    columns: Annotated[
        list[str] | None, typer.Option("--map", metavar="FIELD=COLUMN", help="A column by another name.")
    ] = None,
    segments: Annotated[
        list[str] | None,
        typer.Option("--segment-map", metavar="CAMPAIGN=SEGMENT", help="The segment of a campaign, by id or name."),
    ] = None,
    is_json: _JSON = False,
) -> None:
    """Import what campaigns cost and brought, for shops without access to a platform's API.

    Columns: day, campaign_id or campaign, spend; of segment, impressions, clicks, purchases, new_customers, value what
    there is. A day that was imported before is replaced. Lines that cannot be read go to FILE.rejects.csv.

    Example:
        clv ads import-performance spring.csv --segment-map "Spring lookalikes=High-CLV"
    """
    import contextlib
    import csv
    import time

    from ads.performance import read_performance
    from clv.money import minor_digits
    from clv.settings import Settings
    from storage.campaigns import CampaignDay, put_days
    from storage.engine import Database
    from storage.schema import require_current

    settings = Settings.from_env()
    readings = read_performance(
        path,
        platform=platform,
        currency=settings.currency,
        digits=minor_digits(settings.currency),
        columns=_pairs(columns, "--map"),
        segments=_pairs(segments, "--segment-map"),
    )
    days: dict[tuple[str, str], CampaignDay] = {}
    rejects: list[tuple[int, str]] = []
    for reading in readings:
        if reading.day is None:
            rejects.append((reading.line, reading.problem))
        else:
            days[reading.day.campaign_id, reading.day.day] = reading.day
    with contextlib.closing(Database(settings.sql_url)) as database:
        require_current(database)
        put_days(database, list(days.values()), pulled_ms=round(time.time() * 1_000))
    rejects_path = path.with_name(f"{path.name}.rejects.csv")
    if rejects:
        with rejects_path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("line", "problem"), *rejects])
    unknown = sum(not day.segment for day in days.values())
    figures = {"days": len(days), "rejected": len(rejects), "without_segment": unknown}
    if is_json:
        typer.echo(json.dumps(figures | {"rejects_path": str(rejects_path) if rejects else None}))
        return
    typer.echo(f"{len(days):,} campaign days stored, {unknown:,} of them without a segment")
    if rejects:
        typer.echo(
            f"{len(rejects):,} lines were not read, the first at line {rejects[0][0]}: {rejects[0][1]}", err=True
        )
        typer.echo(f"all of them: {rejects_path}", err=True)


@app.command("apply")
def apply(
    proposal_id: Annotated[str, typer.Argument(metavar="[PROPOSAL]", help="By default the newest.")] = "",
    *,
    is_approved: Annotated[bool, typer.Option("--yes", help="Approve it: change the budgets.")] = False,
    is_dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would change.")] = False,
    rollback: Annotated[str, typer.Option(metavar="CHANGE", help="Set back what a change or proposal did.")] = "",
    is_json: _JSON = False,
) -> None:
    """Carry out a budget proposal at the ad platform, after approval.

    Refused where the proposal is not the newest, a role is not running, or the models are behind or drift.

    Example:
        clv ads apply --dry-run
    """
    import contextlib

    from ads.applying import Approval, apply_proposal, daily_amounts, roll_back
    from ads.platforms import now_ms, open_platform
    from ads.wishes import distrust_of
    from clv.errors import InputError
    from clv.settings import Settings
    from storage.budget_changes import find_proposal
    from storage.engine import Database
    from storage.schema import require_current

    settings = Settings.from_env()
    if is_approved == is_dry_run and not rollback:
        raise InputError("a change of budgets needs approval", "clv ads apply --dry-run shows it, --yes approves it")
    with contextlib.closing(Database(settings.sql_url)) as database:
        require_current(database)
        with contextlib.closing(open_platform(settings, database)) as platform:
            distrust = distrust_of(database)
            if rollback:
                change = roll_back(database, platform.budgets, rollback)
            elif is_approved:
                approval = Approval(by_name="command line", days=settings.budget_days, distrust=distrust)
                change = apply_proposal(database, platform.budgets, proposal_id, approval, clock=now_ms)
            else:
                proposal = find_proposal(database, proposal_id)
                if proposal is None:
                    raise InputError("there is no such proposal", "the trainer makes them once customers have segments")
                before = {name: budget.daily_minor for name, budget in platform.budgets.present().items()}
                shown = {"proposal_id": proposal.proposal_id, "status": "dry run", "refusal": distrust or None}
                _show_change(shown, before, daily_amounts(proposal, settings.budget_days), is_json=is_json)
                return
    said = {"change_id": change.change_id, "proposal_id": change.proposal_id, "status": change.status}
    _show_change(said, change.amounts_before, change.amounts_after, is_json=is_json)


def _show_change(
    said: Mapping[str, str | None], before: dict[str, int], after: dict[str, int], *, is_json: bool
) -> None:
    from clv.money import minor_digits, to_major
    from clv.settings import Settings

    digits = minor_digits(Settings.from_env().currency)
    amounts = {
        segment: {"before": to_major(before.get(segment, 0), digits), "after": to_major(amount, digits)}
        for segment, amount in after.items()
    }
    if is_json:
        typer.echo(json.dumps({**said, "a_day": amounts}, indent=2))
        return
    for name, text in said.items():
        if text:
            typer.echo(f"{name.replace('_', ' '):>12}  {text}")
    for segment, moves in amounts.items():
        typer.echo(f"{segment:>18}  {moves['before']:>12} -> {moves['after']:>12} a day")


@app.command("pull-performance")
def pull_performance(
    *,
    days: Annotated[int, typer.Option("--days", min=1, max=1_000, help="So many days, up to today.")] = 28,
    is_json: _JSON = False,
) -> None:
    """Pull what campaigns cost and brought from Meta, day by day; what was pulled before is replaced.

    A campaign belongs to the segment that its name has in it, or the name of that segment's audience.

    Example:
        clv ads pull-performance --days 90
    """
    import contextlib
    from datetime import UTC, datetime, timedelta

    from ads.connectors.meta_insights import pull_insights
    from ads.platforms import now_ms, open_meta
    from clv.settings import Settings
    from storage.campaigns import put_days
    from storage.engine import Database
    from storage.schema import require_current

    settings = Settings.from_env()
    last = datetime.now(UTC).date()
    with contextlib.closing(Database(settings.sql_url)) as database:
        require_current(database)
        with contextlib.closing(open_meta(settings)) as client:
            pulled = list(pull_insights(client, last - timedelta(days=days - 1), last, currency=settings.currency))
        put_days(database, pulled, pulled_ms=now_ms())
    unknown = sum(not day.segment for day in pulled)
    if is_json:
        typer.echo(json.dumps({"days": len(pulled), "without_segment": unknown}))
    else:
        typer.echo(f"{len(pulled):,} campaign days stored, {unknown:,} of them without a segment")


def _pairs(given: list[str] | None, option: str) -> dict[str, str]:
    from clv.errors import InputError

    pairs = {}
    for text in given or []:
        name, equals, value = text.rpartition("=") if option == "--segment-map" else text.partition("=")
        if not equals or not name or not value:
            raise InputError(f"{option} {text!r} has not the form NAME=VALUE")
        pairs[name] = value
    return pairs


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
