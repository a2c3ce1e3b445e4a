"""The report of a back-test: reads what the run left, judges it, and writes a directory that needs nothing else."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jinja2
import msgspec
import numpy as np

from backtest.report.behaviour import final_histories
from backtest.report.champions import champion_days, champion_spans
from backtest.report.figures import Scene, all_pictures
from backtest.report.look import label
from backtest.report.measures import KINDS, by_kind, coverage, paired_difference
from backtest.report.picture import day_cell, fixed, table, text
from backtest.report.run_lines import RunLines, read_run_lines
from backtest.report.scored import first_to_last, read_predictions, score_moments
from models import bgnbd
from models.conformal import COVERAGE
from models.evaluation import REFERENCE

if TYPE_CHECKING:
    from pathlib import Path

    from backtest.report.labels import NetDays
    from backtest.report.measures import Paired
    from backtest.report.picture import Picture, Table
    from backtest.report.scored import Scored
    from models.measures import Metrics

FORMAT = 1
"""Version of ``metrics.json``: names are added under it, never changed."""
_MISSES = 5
_KIND_TITLES = {
    "all": "All moments",
    "order": "Order moments: the end of a purchase day",
    "tick": "Ticks: 30 to 365 days after the first purchase day, without a purchase",
}


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How to judge and name a back-test.

    Parameters
    ----------
    title
        Heading of the report.
    horizon_days
        Days ahead that a prediction counts.
    nominal_coverage
        Share of moments (0-1) that the intervals were meant to hold.
    """

    title: str = "Back-test of the CLV scorer"
    horizon_days: int = 90
    nominal_coverage: float = COVERAGE


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was written: the page, the pictures beside it, and the numbers, as in ``metrics_path``."""

    html_path: Path
    metrics_path: Path
    picture_paths: tuple[Path, ...]
    metrics: dict[str, Any]


def write_report(
    net: NetDays, predictions: Path, directory: Path, *, run_log: Path | None = None, options: Options | None = None
) -> Report:
    """Judge predictions by the log that they were made from, and write ``report.html``, pictures and ``metrics.json``.

    The directory is made where it is missing; files of an earlier report in it are replaced.

    Raises
    ------
    InputError
        When a file cannot be read, or no prediction lies at a moment whose horizon the log holds.

    Notes
    -----
    Deterministic: the same inputs give the same bytes. Some ten seconds for 130,000 moments of 23,000 customers.
    """
    options = options or Options()
    given = read_predictions(predictions)
    log = read_run_lines(run_log) if run_log else RunLines()
    scored = score_moments(net, given, options.horizon_days)
    histories = final_histories(net)
    params = bgnbd.fit(*histories)
    spans = champion_spans(given, log, net.last_day)
    scene = Scene(
        scored=scored,
        spans=spans,
        log=log,
        histories=histories,
        params=params,
        currency=net.currency,
        horizon_days=options.horizon_days,
        nominal_coverage=options.nominal_coverage,
    )
    numbers = judge(net, scored, options) | {
        "champion_days": champion_days(spans),
        "bgnbd_weeks": msgspec.to_builtins(params),
    }
    pictures = all_pictures(scene)
    directory.mkdir(parents=True, exist_ok=True)
    metrics_path, html_path = directory / "metrics.json", directory / "report.html"
    metrics_path.write_bytes(msgspec.json.format(msgspec.json.encode(numbers), indent=2) + b"\n")
    html_path.write_text(_render(net, scene, numbers, pictures, options), encoding="utf-8")
    return Report(
        html_path=html_path,
        metrics_path=metrics_path,
        picture_paths=tuple(path for picture in pictures if (path := _write_picture(picture, directory))),
        metrics=numbers,
    )


def judge(net: NetDays, scored: Scored, options: Options) -> dict[str, Any]:
    """Return all metrics as plain data; money in major units, what is not defined as None."""
    return {
        "format": FORMAT,
        "currency": net.currency,
        "horizon_days": options.horizon_days,
        "log": {
            "customers": len(net.names),
            "purchase_days": len(net.purchases()),
            "net_revenue": float(net.amount_minor.sum()) / net.unit,
            "first_day": day_cell(net.first_day),
            "last_day": day_cell(net.last_day),
        },
        "scored": {"first_day": day_cell(scored.first_day), "last_day": day_cell(scored.last_day)},
        "expected_moments": scored.due_count,
        "given_moments": len(scored.day),
        "missing_moments": scored.due_count - len(scored.day),
        "scorer_versions": len(scored.versions),
        "metrics": {name: by_kind(scored, values) for name, values in scored.series.items()},
        "interval": _interval(scored, options),
        "deviance_difference": {
            name: paired_difference(scored.customer, scored.actual, scored.predicted, values)
            for name, values in scored.candidates.items()
        },
    }


def _interval(scored: Scored, options: Options) -> dict[str, Any] | None:
    found = coverage(scored)
    return {"nominal": options.nominal_coverage, **found} if found else None


def _write_picture(picture: Picture, directory: Path) -> Path | None:
    path = directory / f"{picture.slug}.png"
    if not picture.png:
        path.unlink(missing_ok=True)  # an earlier report's
        return None
    path.write_bytes(picture.png)
    return path


def _render(net: NetDays, scene: Scene, numbers: dict[str, Any], pictures: list[Picture], options: Options) -> str:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("backtest.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2").render(
        title=options.title,
        numbers=numbers,
        span=first_to_last(net),
        verdict=verdict(numbers),
        cards=_cards(numbers),
        metric_tables=[(_KIND_TITLES[kind], metric_table(numbers["metrics"], kind, net.currency)) for kind in KINDS],
        differences=_difference_table(numbers["deviance_difference"], net.currency),
        misses=_misses(net, scene.scored),
        alarms=_alarms(scene.log),
        pictures=pictures,
        data_uri=lambda png: "data:image/png;base64," + base64.b64encode(png).decode("ascii"),
        count=text,
    )


def verdict(numbers: dict[str, Any]) -> str:
    """Say in a sentence whether what was given out beats the reference, by the interval of their paired difference."""
    paired: Paired | None = numbers["deviance_difference"].get(REFERENCE)
    if paired is None:
        return "The predictions file holds no BTYD column, so there is nothing to compare the score with."
    low, high = paired["ci95"]
    interval = f"difference {fixed(paired['difference'], 3)}, 95 % interval {fixed(low, 3)} to {fixed(high, 3)}"
    if high < 0.0:
        return f"The score predicts better than BTYD alone: its deviance is lower with confidence ({interval})."
    if low > 0.0:
        return f"BTYD alone predicts better than the score: its deviance is lower with confidence ({interval})."
    return f"Score and BTYD alone cannot be told apart: the interval of their difference holds 0 ({interval})."


def metric_table(found: dict[str, dict[str, Metrics]], kind: str, currency: str) -> Table:
    """Return the metrics of each model over one kind of moment."""
    columns = (
        "model", "moments", f"deviance, √{currency}", f"MAE, {currency}", f"RMSE, {currency}", "R²", "Gini", "Spearman",
        "ratio", "decile MAPE", "top tenth's share", f"largest prediction, {currency}",
    )  # fmt: skip
    rows = (
        [
            *(label(name), m["n"], *(fixed(m[measure], 2) for measure in ("deviance", "mae", "rmse"))),
            *(
                fixed(m[measure], 3)
                for measure in ("r2", "gini", "spearman", "ratio", "decile_mape", "top_decile_share")
            ),
            fixed(m["max_predicted"], 2),
        ]
        for name, kinds in found.items()
        if (m := kinds.get(kind))
    )
    return table(columns, rows)


def _difference_table(found: dict[str, Paired | None], currency: str) -> Table:
    rows = (
        [label(name), p["n"], p["customers"], *(fixed(value, 3) for value in (p["difference"], *p["ci95"]))]
        for name, p in found.items()
        if p
    )
    return table(["score less", "moments", "customers", f"difference, √{currency}", "95 % from", "to"], rows)


def _cards(numbers: dict[str, Any]) -> list[tuple[str, str, str]]:
    ours: Metrics = numbers["metrics"]["predicted"]["all"]
    interval = numbers["interval"]
    held = f"{100 * interval['coverage']:.1f} %" if interval else "–"
    return [
        ("Deviance", fixed(ours["deviance"], 2), f"√{numbers['currency']}, lower is better"),
        ("Ratio", fixed(ours["ratio"], 3), "predicted over realised total"),
        ("Gini", fixed(ours["gini"], 3), "1 ranks perfectly"),
        ("Intervals held", held, f"meant to hold {100 * interval['nominal']:.0f} %" if interval else "not in the file"),
        ("Moments", text(ours["n"]), f"{text(numbers['missing_moments'])} missing"),
    ]


def _alarms(log: RunLines) -> Table:
    rows = ([day_cell(day), name, fixed(before, 3), fixed(after, 3)] for day, name, before, after in log.alarms)
    return table(["day", "detector", "expected", "last block"], rows)


def _misses(net: NetDays, scored: Scored) -> Table:
    worst = np.argsort(-np.abs(scored.actual - scored.predicted), kind="stable")[:_MISSES]
    rows = (
        [
            net.names[scored.customer[at]],
            day_cell(scored.day[at]),
            "order" if scored.is_order[at] else "tick",
            fixed(scored.predicted[at], 2),
            fixed(scored.actual[at], 2),
        ]
        for at in worst
    )
    return table(["customer", "as of", "kind", f"score, {net.currency}", f"realised, {net.currency}"], rows)
