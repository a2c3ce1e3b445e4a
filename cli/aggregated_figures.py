"""What ``clv train --from`` shows and writes: the fit's figures, how far to trust them, and each customer's answer."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import typer
from rich.console import Console

from cli.aggregated import read, train
from cli.writing import check_ending, write_rows
from clv.money import minor_digits, to_major
from clv.outcomes import SEGMENTS, rfc3339
from models.correction import MIN_EXAMPLES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from cli.aggregated import Trained
    from clv.settings import Settings
    from models.aggregated import Predictions
    from producers.customers import CustomersLog
    from storage.export import Kind


def run(file: Path, settings: Settings, *, as_of: str, out: Path | None, rejects: Path | None, is_json: bool) -> None:
    """Train from a file, write the scored customers where wanted, and print the figures."""
    if out is not None:
        check_ending(out)
    with Console(stderr=True).status(f"reading {file.name}") as status:
        log, rejects = read(file, settings, rejects)
        status.update("training")
        trained = train(log, settings, as_of)
        if out is not None:
            status.update(f"writing {out}")
            write_rows(out, scored_columns(trained.predictions), scored_rows(trained))
    found = figures(trained, log, rejects)
    if out is not None:
        found["scored_file"] = str(out)
    if is_json:
        typer.echo(json.dumps(found, indent=2))
    else:
        show(found)


def figures(trained: Trained, log: CustomersLog, rejects: Path) -> dict[str, Any]:
    """Return what was fitted as plain data; money as decimal text in major units."""
    model, lesson = trained.fitted
    predictions, digits = trained.predictions, minor_digits(model.currency)
    value = model.btyd.value
    assert value is not None, "a fit has both parts"
    segments, confidence = predictions.segment, predictions.confidence
    found: dict[str, Any] = {
        "version": trained.version,
        "as_of": rfc3339(model.as_of_ms)[:10],
        "horizon_days": model.horizon_days,
        "customers": len(log.customers),
        "repeat_customers": model.btyd.repeat_customer_count,
        "rejected": log.rejected,
        "rejects_file": str(rejects) if log.rejected else "",
        "bg_nbd": {name: round(number, 4) for name, number in msgspec.structs.asdict(model.btyd.orders).items()},
        "gamma_gamma": {
            "p": round(value.p, 4),
            "q": round(value.q, 4),
            "v": round(value.v / 10**digits, 4),
        },
        "return_rate": round(model.return_rate, 4),
        "currency": model.currency,
        "total_clv": to_major(int(predictions.predicted_minor.sum()), digits),
        "mean_clv": to_major(predictions.base_minor, digits),
        "segments": {name: segments.count(name) for name in SEGMENTS},
        "segment_cut_offs": _cut_offs(trained, digits),
        "confidence": {name: confidence.count(name) for name in ("High", "Medium", "Low")},
        "labels": lesson.examples if lesson else 0,
        "correction": None,
    }
    if lesson:
        scale = 10 ** (digits / 2)
        found["correction"] = {
            "used": lesson.correction is not None,
            "customers": lesson.customers,
            "deviance_btyd": round(lesson.deviance_plain / scale, 4),
            "deviance_corrected": round(lesson.deviance_corrected / scale, 4),
        }
    return found


def show(found: dict[str, Any]) -> None:
    """Print the figures for people, with what they are worth."""
    for name, figure in found.items():
        if name in {"correction", "rejects_file"} or figure is None:
            continue
        shown = figure
        if isinstance(figure, dict):
            shown = "  ".join(f"{key} {number}" for key, number in figure.items())
        typer.echo(f"{name.replace('_', ' '):>18}  {shown}")
    if found["rejected"]:
        typer.echo(f"{'rejects':>18}  {found['rejects_file']}")
    for line in worth(found):
        typer.echo(f"{'':>18}  {line}")


def worth(found: dict[str, Any]) -> Iterator[str]:
    """Say how far the predictions can be trusted."""
    learned = found["correction"]
    if learned is None:
        yield f"no labels: nothing here has been compared with what customers spent since (needs {MIN_EXAMPLES} matured"
        yield "examples); intervals are BTYD's own, confidence is never High, source and campaign change nothing"
    elif learned["used"]:
        yield f"corrected by {found['labels']} examples of customers with histories, deviance out of fold"
        yield f"{learned['deviance_btyd']} without and {learned['deviance_corrected']} with it; intervals held out"
    else:
        yield f"{found['labels']} examples of customers with histories did not improve it; intervals come from them"
    yield "totals know less than single orders: a replayed order log is scored more accurately (docs/aggregated.md)"


def scored_columns(predictions: Predictions) -> dict[str, Kind]:
    """Return the columns of the file of scored customers."""
    return {
        "customer_id": str,
        "predicted_clv": Decimal,
        "clv_lower": Decimal,
        "clv_upper": Decimal,
        "churn_probability": float,
        "segment": str,
        "confidence": str,
        "recommended_cac": Decimal,
        "base": Decimal,
        **{f"why_{name}": Decimal for name in predictions.contributions},
    }


def scored_rows(trained: Trained) -> Iterator[dict[str, Any]]:
    """Yield each customer's answer; ``base`` and the ``why_`` columns add up to ``predicted_clv``, to the cent."""
    answer, digits = trained.predictions, minor_digits(trained.fitted.model.currency)

    def money(amounts: Sequence[int]) -> list[str]:
        return [to_major(amount, digits) for amount in amounts]

    columns: dict[str, Sequence[object]] = {
        "customer_id": [totals.customer_id for totals in trained.customers],
        "predicted_clv": money(answer.predicted_minor.tolist()),
        "clv_lower": money(answer.lower_minor.tolist()),
        "clv_upper": money(answer.upper_minor.tolist()),
        "churn_probability": [round(share, 6) for share in answer.churn_probability.tolist()],
        "segment": answer.segment,
        "confidence": answer.confidence,
        "recommended_cac": money(answer.recommended_cac_minor),
        "base": money([answer.base_minor]) * len(trained.customers),
        **{f"why_{name}": money(part.tolist()) for name, part in answer.contributions.items()},
    }
    for row in zip(*columns.values(), strict=True):
        yield dict(zip(columns, row, strict=True))


def _cut_offs(trained: Trained, digits: int) -> dict[str, str]:
    model, policy = trained.fitted.model, trained.policy
    high, growth = (policy.high_minor, policy.growth_minor) if policy else (model.high_minor, model.growth_minor)
    return {
        "High-CLV": to_major(high, digits),
        "Growth-Potential": to_major(growth, digits),
        "from": policy.version if policy else "percentiles of this file",
    }
