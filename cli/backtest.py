"""``clv backtest``: what would have been predicted, day by day, and what came true of it.

Example: ``clv backtest data/cdnow_orders.csv.gz --predictions predictions.csv``
"""

from __future__ import annotations

import contextlib
import json
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from backtest.runner import BacktestOptions, BacktestResult
    from producers.orderlog import OrderLog


def command(
    file: reading.LogFile,
    predictions: Annotated[
        Path, typer.Option(metavar="OUT.csv", help="Where the predictions go; the run's log lies beside it.")
    ] = Path("predictions.csv"),
    report_dir: Annotated[
        Path | None,
        typer.Option("--report", metavar="DIR", help="Write report.html, its pictures and metrics.json there."),
    ] = None,
    mapping: reading.MapOption = "",
    currency: reading.CurrencyOption = "",
    date_format: reading.DateFormatOption = "",
    encoding: reading.EncodingOption = "utf-8-sig",
    rejects: reading.RejectsOption = None,
    horizon_days: Annotated[
        int | None, typer.Option(min=1, max=3650, help="Days ahead [default: CLV_HORIZON_DAYS].")
    ] = None,
    refit_days: Annotated[
        int | None, typer.Option(min=1, max=3650, help="Event-days between refits [default: CLV_REFIT_DAYS].")
    ] = None,
    restart: Annotated[bool, typer.Option("--restart", help="Do not go on where an interrupted run ended.")] = False,
    is_json: Annotated[bool, typer.Option("--json", help="Print one JSON object at the end.")] = False,
) -> None:
    """Back-test on an order log: predict at each day's end from what was known then, and say what came true.

    The log goes through the same code as in worker and trainer, without a broker or a database. Predicted is each
    customer at each day with a purchase, and 30, 60, 90, 180, 270 and 365 days after the first one. An interrupted
    run goes on where it was when the same command is given again.

    Example:
        clv backtest data/cdnow_orders.csv.gz --predictions predictions.csv --report report/
    """
    from rich.console import Console

    from backtest.runner import BacktestOptions, run_backtest
    from cli.progress import progress
    from cli.sending import INTERRUPTED
    from clv.settings import Settings
    from models.custom import installed_models

    settings = Settings.from_env()
    given = reading.Given(mapping, currency, date_format, encoding, rejects)
    log = reading.read_log(file, settings, given, is_quiet=is_json)
    settings = replace(
        settings,
        currency=log.currency,
        horizon_days=horizon_days or settings.horizon_days,
        refit_days=refit_days or settings.refit_days,
    )
    settings.check()
    with _stopping() as is_stopping, progress(file.name, len(log), Console(stderr=True)) as observe:
        options = BacktestOptions(
            settings=settings,
            out=predictions,
            is_restarted=restart,
            observe=observe,
            is_stopping=is_stopping,
            custom=installed_models(),
        )
        result = run_backtest(log, options)
    report = describe(result, predictions) | reading.figures(log)
    if report_dir and result.end is not None:
        with Console(stderr=True).status("drawing the report"):
            report["report"] = str(_write_report(log, options, result.counts.day, report_dir))
    if is_json:
        typer.echo(json.dumps(report))
    else:
        _print(report)
    if result.end is None:
        typer.echo("the same command goes on from here", err=True)
        sys.exit(INTERRUPTED)


def _write_report(log: OrderLog, run: BacktestOptions, last_day: int, directory: Path) -> Path:
    from backtest.report.labels import net_days_of
    from backtest.report.page import Options, write_report
    from backtest.runner import run_log_path
    from models.conformal import COVERAGE

    options = Options(
        title=f"Back-test of {log.path.name}", horizon_days=run.settings.horizon_days, nominal_coverage=COVERAGE
    )
    net = net_days_of(log, currency=log.currency).until(last_day)
    return write_report(net, run.out, directory, run_log=run_log_path(run.out), options=options).html_path


def describe(result: BacktestResult, out: Path) -> dict[str, Any]:
    """Return what a run came to as plain data; money in major units."""
    import msgspec

    from backtest.runner import run_log_path

    counts, total = result.counts, result.seconds["total"]
    figures: dict[str, Any] = {
        "moments": counts.moments,
        "unscored_moments": counts.unscored,
        "events": counts.events,
        "resumed_from": result.resumed_from,
        "interrupted": result.end is None,
        "seconds": round(total, 3),
        "moments_per_second": round(result.moments / total, 1),
        "seconds_by_part": {name: round(seconds, 3) for name, seconds in result.seconds.items() if name != "total"},
    }
    if result.end is not None:
        end = msgspec.to_builtins(result.end)
        figures |= {name: end[name] for name in ("customers", "days", "first_day", "last_day", "champion_changes")}
        figures |= {name: end[name] for name in ("scored_from", "scored_to", "coverage", "scored")}
        figures |= {"predictions": str(out), "run_log": str(run_log_path(out))}
    return figures


def _print(report: dict[str, Any]) -> None:
    for name, figure in report.items():
        if name not in {"scored", "seconds_by_part"} and (figure not in {"", 0, None} or name == "moments"):
            typer.echo(f"{name.replace('_', ' '):>20}  {figure}")
    parts = "  ".join(f"{name} {seconds:.1f}" for name, seconds in report["seconds_by_part"].items())
    typer.echo(f"{'seconds by part':>20}  {parts}")
    for name, by_kind in report.get("scored", {}).items():
        for kind, figures in by_kind.items():
            typer.echo(f"{f'{name} {kind}':>20}  {_line(figures)}")


def _line(figures: dict[str, float]) -> str:
    return (
        f"{figures['count']:>9,} moments  deviance {figures['deviance']:,.3f}  MAE {figures['mae']:,.2f}  "
        f"ratio {figures['ratio']:.3f}"
    )


@contextlib.contextmanager
def _stopping() -> Iterator[Callable[[], bool]]:
    """Give a question whether Ctrl-C or SIGTERM asks for an end; a second Ctrl-C does not wait for the day's end."""
    asked = False

    def ask(_number: int, _frame: object) -> None:
        nonlocal asked
        asked = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
