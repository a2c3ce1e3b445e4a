"""The run's log beside the predictions: one JSON object a line, the same for the same run; no processing time in it.

The first line is a ``RunStart``, the last a ``RunEnd``; between them ``RunLine``, in event time, for each refit, each
change of champion, and the first snapshot of each week (Thursday to Wednesday, as 1970-01-01 was a Thursday). One
snapshot may give several lines, which differ in ``kind``.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Literal

import msgspec

from clv.events import parse_time_ms
from clv.outcomes import ModelVersions, rfc3339
from clv.rules import DAY_MS
from models.card import Importance
from models.drift import Alarm
from models.snapshot import PRIOR_NAME

if TYPE_CHECKING:
    from backtest.learning import Published
    from models.evaluation import Metrics
    from models.snapshot import ScorerSnapshot
    from models.training import Learner

WEEK_MS = 7 * DAY_MS


class Figures(msgspec.Struct, frozen=True):
    """A model's error: means over ``count`` predictions, in major units; ``ratio`` is predicted over actual total.

    ``deviance`` is Tweedie's of power 1.5, in square roots of the major unit.
    """

    count: int
    deviance: float
    mae: float
    ratio: float


class RunStart(msgspec.Struct, frozen=True, kw_only=True):
    """What was run: ``log_key`` names the file's bytes and how they were read, ``columns`` those of the predictions."""

    kind: Literal["start"] = "start"
    log_key: str
    currency: str
    horizon_days: int
    refit_days: int
    columns: tuple[str, ...]


class RunLine(msgspec.Struct, frozen=True, kw_only=True):
    """A snapshot of models as it was put in force.

    ``as_of`` is the latest event time that influenced it; ``champion_before`` differs from ``champion`` in a line of
    kind ``champion``. ``weights`` are the blend's. ``metrics`` is the prequential error of every candidate so far.
    ``intervals`` is a digest of the conformal factors. ``importance`` is what the snapshot looks at, where that was
    measured: with a refit of the ensemble. ``alarms`` are those since the line before.
    """

    kind: Literal["refit", "champion", "week"]
    as_of: str
    sequence: int
    versions: ModelVersions
    champion: str
    champion_before: str
    weights: dict[str, float]
    learned_count: int
    customer_count: int
    metrics: dict[str, Figures]
    intervals: str
    importance: Importance | None
    alarms: tuple[Alarm, ...] = ()


class RunEnd(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it: error over the scored moments by candidate, then by kind of moment (all, order, tick).

    ``unscored`` moments have no row: the pipeline had applied no order of the customer.
    """

    kind: Literal["end"] = "end"
    moments: int
    unscored: int
    customers: int
    events: int
    first_day: str
    last_day: str
    days: int
    champion_changes: int
    scored_from: str
    scored_to: str
    scored: dict[str, dict[str, Figures]]
    coverage: float | None


class RunLogState(msgspec.Struct):
    """What the next line depends on; ``champion_changes`` counts those from one model to another.

    ``alarmed_ms`` is when the last alarm that was told had been given.
    """

    champion: str = PRIOR_NAME
    week: int = -1
    champion_changes: int = 0
    alarmed_ms: int = -1


class RunLog:
    """Turns snapshots into lines; ``state`` changes in place.

    Parameters
    ----------
    digits
        Decimals of the currency.
    """

    def __init__(self, *, digits: int, state: RunLogState | None = None) -> None:
        self._digits = digits
        self.state = state or RunLogState()

    def lines(self, published: Published, learner: Learner) -> bytes:
        """Return the lines that a snapshot gives; often none."""
        state, snapshot = self.state, published.snapshot
        before = state.champion
        week = snapshot.learned_through_ms // WEEK_MS
        kinds: list[Literal["refit", "champion", "week"]] = []
        if published.is_refitted:
            kinds.append("refit")
        if snapshot.champion != before:
            kinds.append("champion")
            state.champion_changes += before != PRIOR_NAME
        if week > state.week:
            kinds.append("week")
        state.champion, state.week = snapshot.champion, week
        if not kinds:
            return b""
        alarms = tuple(alarm for alarm in learner.drift.alarms if parse_time_ms(alarm.at) > state.alarmed_ms)
        state.alarmed_ms = learner.drift.alarmed_ms
        line = RunLine(
            kind="week",
            as_of=rfc3339(snapshot.learned_through_ms),
            sequence=snapshot.sequence,
            versions=snapshot.model_versions,
            champion=snapshot.champion,
            champion_before=before,
            weights=snapshot.weights,
            learned_count=learner.learned_count,
            customer_count=snapshot.btyd.customer_count if snapshot.btyd else 0,
            metrics={name: _figures(metrics, self._digits) for name, metrics in learner.metrics().items()},
            intervals=hashlib.sha256(msgspec.json.encode(snapshot.intervals)).hexdigest()[:12],
            importance=_importance(snapshot, learner),
        )
        told = [alarms, *[()] * len(kinds)]  # once, where a snapshot gives several lines
        lines = [msgspec.structs.replace(line, kind=kind, alarms=new) for kind, new in zip(kinds, told, strict=False)]
        return b"".join(encode_line(one) for one in lines)


def encode_line(line: RunStart | RunLine | RunEnd) -> bytes:
    """Write a line of the log."""
    return msgspec.json.encode(line) + b"\n"


def _figures(metrics: Metrics, digits: int) -> Figures:
    return Figures(metrics.count, metrics.deviance / 10.0 ** (digits / 2), metrics.mae / 10.0**digits, metrics.ratio)


def _importance(snapshot: ScorerSnapshot, learner: Learner) -> Importance | None:
    measured = learner.feature_importance()
    return measured if measured and measured.version == snapshot.version else None
