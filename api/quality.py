"""How good the models are: errors on the examples that matured last, and what the model cards have kept."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np

from api.schemas.models import (
    CalibrationPoint,
    Champion,
    DriftAlarm,
    ErrorPoint,
    Importance,
    ModelError,
    ModelMetrics,
    Switch,
)
from api.views import moment
from clv.published import SCORER_NAME
from models.card import ModelCard
from models.measures import decile_means, metrics
from models.snapshot import BLEND, MEMBERS
from storage.cards import StoredEvent, pin_in_force, read_cards, read_events
from storage.examples import ANSWERS, newest_answers
from storage.learning import Metrics, read_metrics

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from api.context import Context
    from models.snapshot import ScorerSnapshot

MOST_EXAMPLES = 20_000
_FEWEST = 10
_CACHE_MS = 5_000


class Quality:
    """Computes the models' quality, and again only after a few seconds: it reads thousands of examples."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made_ms = -_CACHE_MS
        self._made: ModelMetrics | None = None

    def of(self, context: Context) -> ModelMetrics:
        """Return everything about the models' quality."""
        with self._lock:
            if self._made is None or context.now_ms - self._made_ms >= _CACHE_MS:
                self._made, self._made_ms = quality_of(context), context.now_ms
            return self._made


class _Known(NamedTuple):
    """What the store keeps of models: running figures, cards oldest first, the snapshot that answers."""

    figures: Mapping[str, Metrics]
    cards: Sequence[ModelCard]
    snapshot: ScorerSnapshot | None


def quality_of(context: Context) -> ModelMetrics:
    """Return everything about the models' quality."""
    database = context.database
    answers = newest_answers(database, limit=MOST_EXAMPLES)
    cards = [card for stored in read_cards(database) if (card := ModelCard.from_json(stored.card)).name == SCORER_NAME]
    snapshots = context.published.newest().scorer.snapshots
    known = _Known(read_metrics(database), cards, snapshots[-1] if snapshots else None)
    switches = [_switch(event) for event in read_events(database)]
    newest = cards[-1] if cards else None
    matured = answers["matured_ms"]
    importance = newest.importance.groups if newest and newest.importance else {}
    return ModelMetrics(
        currency=context.currency.code,
        horizon_days=context.settings.horizon_days,
        examples_learned=int(known.figures["naive"].figures.get("count", 0)) if "naive" in known.figures else 0,
        models=_errors(context, answers, known),
        calibration=_calibration(context, answers),
        error_over_time=error_over_time(context, cards),
        drift=[
            DriftAlarm(at=a.at, detector=a.detector, before=a.before, after=a.after)
            for a in (newest.drift if newest else ())
        ],
        feature_importance=[
            Importance(group=name, rise=rise) for name, rise in sorted(importance.items(), key=lambda pair: -pair[1])
        ],
        champion=_champion(context, known, switches),
        switches=switches,
        last_training_at=newest.learned_through_at if newest else None,
        data_as_of=moment(int(matured.max())) if len(matured) else None,
    )


def error_over_time(context: Context, cards: Sequence[ModelCard]) -> list[ErrorPoint]:
    """Return the mean deviance between one card and the next, from the running means that each has."""
    scale = 10.0 ** (context.currency.digits / 2)
    points = []
    for before, after in zip([None, *cards], cards, strict=False):
        deviance: dict[str, float] = {}
        count = 0
        for name, figures in after.metrics.items():
            earlier = before.metrics.get(name, {}) if before else {}
            own = figures["count"] - earlier.get("count", 0)
            if own <= 0:
                continue
            total = figures["count"] * figures["deviance"] - earlier.get("count", 0) * earlier.get("deviance", 0.0)
            deviance[name] = round(max(total, 0.0) / own / scale, 4)
            count = max(count, own)
        if deviance:
            points.append(ErrorPoint(through=after.learned_through_at, examples=count, deviance=deviance))
    return points


def _errors(context: Context, answers: Mapping[str, Any], known: _Known) -> list[ModelError]:
    actual, scale = answers["value"], 10.0**context.currency.digits
    as_of = moment(int(answers["matured_ms"].max())) if len(actual) else None
    found = []
    for name in ANSWERS:
        answered = answers[name] > 0.0
        if answered.sum() < _FEWEST:
            continue
        measured = metrics(actual[answered] / scale, answers[name][answered] / scale)
        found.append(
            ModelError(
                name=name,
                role=_role(name, known.snapshot),
                version=_version(name, known.snapshot),
                examples=measured["n"],
                deviance=round(measured["deviance"], 4),
                mae=round(measured["mae"], 4),
                rmse=round(measured["rmse"], 4),
                r2=_rounded(measured["r2"]),
                gini=_rounded(measured["gini"]),
                ratio=_rounded(measured["ratio"]),
                relative_to_btyd=_rounded(known.cards[-1].relative_errors.get(name)) if known.cards else None,
                as_of=as_of,
            )
        )
    return found


def _role(name: str, snapshot: ScorerSnapshot | None) -> str:
    if name in ("clv", "naive"):
        return {"clv": "answer", "naive": "yardstick"}[name]
    if snapshot is None:
        return "challenger"
    if snapshot.champion == name:
        return "champion"
    is_blended = snapshot.champion == BLEND and snapshot.weights.get(name, 0.0) > 0.0
    return "member" if is_blended else "challenger"


def _version(name: str, snapshot: ScorerSnapshot | None) -> str:
    if snapshot is None or name == "naive":
        return ""
    versions = snapshot.model_versions
    return str(getattr(versions, name)) if name in MEMBERS else versions.scorer


def _calibration(context: Context, answers: Mapping[str, Any]) -> list[CalibrationPoint]:
    actual, predicted = answers["value"], answers["clv"]
    if len(actual) < _FEWEST:
        return []
    # As the metrics do: ties in the predictions must favour no order of the rows.
    shuffled = np.random.default_rng(0).permutation(len(actual))
    came, said = decile_means(actual[shuffled], predicted[shuffled])
    major = context.currency.major
    return [
        CalibrationPoint(decile=place + 1, predicted=major(round(said[place])), realised=major(round(came[place])))
        for place in range(len(came))
    ]


def _champion(context: Context, known: _Known, switches: Sequence[Switch]) -> Champion | None:
    if known.snapshot is None:
        return None
    return Champion(
        name=known.snapshot.champion,
        version=known.snapshot.version,
        weights={name: round(weight, 4) for name, weight in known.snapshot.weights.items()},
        learned_through_at=moment(known.snapshot.learned_through_ms),
        pinned=pin_in_force(context.database) is not None,
        evidence=switches[-1] if switches else None,
    )


def _switch(event: StoredEvent) -> Switch:
    evidence = msgspec.json.decode(event.evidence, type=dict[str, Any])
    return Switch(
        at=moment(event.at_ms) or "",
        version=event.version,
        cause=event.cause,
        before=event.from_champion,
        after=event.to_champion,
        relative_errors=evidence["relative_errors"],
        examples=evidence["example_count"],
    )


def _rounded(figure: float | None) -> float | None:
    return None if figure is None else round(figure, 4)
