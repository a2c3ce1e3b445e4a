"""From a customer's aggregated figures to a prediction, by the models of the stream where there are any."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from api.problems import ApiProblem
from api.schemas.predictions import Prediction
from clv.budget import cac_target_minor
from clv.errors import InvalidSummary
from clv.outcomes import rfc3339
from clv.segments import SegmentPolicy, decide
from clv.summary import check_summary
from clv.verdicts import confidence_of
from models import aggregated
from models.reference import PRIOR_TYPICAL
from models.summaries import summaries_of
from models.summarised import features_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from api.context import Context
    from clv.ports import ScoreBatch
    from clv.summary import CustomerSummary
    from models.loading import Loaded

_FIRST_MS = 365 * 86_400_000 * 30
"""The moment that the prior is asked about: any would do."""


def predict(context: Context, customers: Sequence[Mapping[str, Any]]) -> list[Prediction]:
    """Predict customers from their figures, as ``clv.summary.check_summary`` names them.

    Raises
    ------
    ApiProblem
        When figures are impossible or contradict each other; names each field, with its customer's place in a batch.
    """
    summaries = _checked(customers, context.currency.digits)
    loaded = context.published.newest()
    trained = context.published.aggregated()
    snapshots = loaded.scorer.snapshots
    if trained and not (snapshots and snapshots[-1].btyd):
        return _by_aggregated(context, summaries, loaded, *trained)
    return _by_stream(context, summaries, loaded)


def _checked(customers: Sequence[Mapping[str, Any]], digits: int) -> list[CustomerSummary]:
    summaries, problems = [], []
    for place, fields in enumerate(customers):
        try:
            summaries.append(check_summary(fields, digits=digits))
        except InvalidSummary as problem:
            prefix = f"customers.{place}." if len(customers) > 1 else ""
            problems += [(f"{prefix}{name}", why) for name, why in problem.problems]
    if problems:
        raise ApiProblem("invalid-input", "; ".join(f"{name} {why}" for name, why in problems)[:500], problems)
    return summaries


def _by_stream(context: Context, summaries: Sequence[CustomerSummary], loaded: Loaded) -> list[Prediction]:
    snapshots = loaded.scorer.snapshots
    newest = snapshots[-1] if snapshots else None
    as_of_ms = newest.learned_through_ms if newest else _FIRST_MS
    features = np.array([features_of(summary, as_of_ms) for summary in summaries], dtype=np.float64)
    batch = loaded.scorer.score(features, np.full(len(features), as_of_ms, dtype=np.int64))
    policy = loaded.judgement.policies.at(as_of_ms) or _guessed_policy(loaded)
    is_learned = newest is not None and newest.btyd is not None
    return [
        _prediction(
            context,
            _rounded(batch, row),
            policy,
            churn_probability=float(batch.churn_probability[row]),
            has_minimum_data=bool(batch.has_minimum_data[row]),
            model="stream" if is_learned else "prior",
            model_version=newest.version if newest else "",
            learned_through_at=rfc3339(newest.learned_through_ms) if newest and is_learned else None,
        )
        for row in range(len(features))
    ]


def _rounded(batch: ScoreBatch, row: int) -> tuple[int, int, int]:
    clv, lower, upper = (round(float(values[row])) for values in (batch.clv, batch.lower, batch.upper))
    return clv, lower, upper


def _prediction(
    context: Context,
    amounts: tuple[int, int, int],
    policy: SegmentPolicy,
    *,
    churn_probability: float,
    has_minimum_data: bool,
    **model: Any,
) -> Prediction:
    clv, lower, upper = amounts
    major = context.currency.major
    return Prediction(
        predicted_clv=major(clv),
        segment=decide(clv, None, policy),
        confidence=confidence_of(clv, lower, upper, has_minimum_data=has_minimum_data),
        recommended_cac=major(cac_target_minor(clv)),
        clv_lower=major(lower),
        clv_upper=major(upper),
        churn_probability=min(max(churn_probability, 0.0), 1.0),
        horizon_days=context.settings.horizon_days,
        currency=context.currency.code,
        **model,
    )


def _guessed_policy(loaded: Loaded) -> SegmentPolicy:
    """Return cut-offs before any were published: the typical customer's worth, and twice that."""
    row = np.array([PRIOR_TYPICAL], dtype=np.float64)
    typical = round(float(loaded.scorer.score(row, np.array([_FIRST_MS], dtype=np.int64)).clv[0]))
    return SegmentPolicy("", 0, high_minor=max(2 * typical, 2), growth_minor=max(typical, 1))


def _by_aggregated(
    context: Context,
    summaries: Sequence[CustomerSummary],
    loaded: Loaded,
    version: str,
    model: aggregated.AggregatedModel,
) -> list[Prediction]:
    if model.currency != context.currency.code or model.horizon_days != context.settings.horizon_days:
        raise ApiProblem(
            "no-model", "the trained model is of another currency or horizon: run `clv train --from` again"
        )
    answer = aggregated.predict(model, summaries_of(summaries), loaded.judgement.policies.at(model.as_of_ms))
    major = context.currency.major
    return [
        Prediction(
            predicted_clv=major(int(answer.predicted_minor[row])),
            segment=answer.segment[row],
            confidence=answer.confidence[row],
            recommended_cac=major(answer.recommended_cac_minor[row]),
            clv_lower=major(int(answer.lower_minor[row])),
            clv_upper=major(int(answer.upper_minor[row])),
            churn_probability=min(max(float(answer.churn_probability[row]), 0.0), 1.0),
            horizon_days=model.horizon_days,
            currency=model.currency,
            model="aggregated",
            model_version=version,
            learned_through_at=rfc3339(model.as_of_ms),
        )
        for row in range(len(summaries))
    ]
