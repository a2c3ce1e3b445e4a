"""What ``clv train --from`` does: read customers known by totals alone, fit them, store the model."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np

from clv.errors import InputError
from clv.events import MAX_MS
from clv.features import FEATURE_DIGEST
from clv.outcomes import rfc3339
from clv.published import POLICY_NAME, fixed_policy, sequence_of, version_of
from clv.segments import SegmentPolicy
from clv.settings import DAY_MS
from clv.summary import CustomerSummary
from models import aggregated
from models.summaries import summaries_of, summaries_of_features
from producers.customers import read_customers
from storage.artifacts import Artifact, get_artifact, newest_artifacts, put_artifacts
from storage.engine import Database
from storage.examples import sample_examples
from storage.schema import upgrade

if TYPE_CHECKING:
    from pathlib import Path

    from clv.settings import Settings
    from models.aggregated import AggregatedModel, Examples, Fitted, Predictions
    from producers.customers import CustomersLog, CustomerTotals

MAX_EXAMPLES = 20_000
_SEED = 1
_NEWEST = "~"  # sorts after every version


class Trained(NamedTuple):
    """A fit to a file of customers, stored under a version, and what it says of them; row i is ``customers[i]``."""

    version: str
    customers: list[CustomerTotals]
    fitted: Fitted
    predictions: Predictions
    policy: SegmentPolicy | None


def read(file: Path, settings: Settings, rejects: Path | None) -> tuple[CustomersLog, Path]:
    """Read the file; return its customers and where bad rows went.

    Raises
    ------
    InputError
        When it, or every row of it, cannot be used.
    """
    rejects = rejects or settings.data_dir / "rejects" / f"{file.name}.csv"
    return read_customers(file, currency=settings.currency, rejects_path=rejects), rejects


def train(log: CustomersLog, settings: Settings, as_of: str) -> Trained:
    """Fit the customers as of a day, store the model, and predict them.

    Parameters
    ----------
    as_of
        YYYY-MM-DD; empty for the latest date in the file.

    Raises
    ------
    InputError
        When the day is none, or before a customer's last purchase.
    StoreUnavailable
        When a retry may help.
    """
    as_of_ms = _as_of_ms(as_of, log)
    summaries = summaries_of([summary_of(totals, as_of_ms) for totals in log.customers])
    upgrade(settings.sql_url)
    database = Database(settings.sql_url)
    try:
        fitted = aggregated.fit(
            summaries,
            currency=settings.currency,
            horizon_days=settings.horizon_days,
            as_of_ms=as_of_ms,
            examples=_examples(database, settings, as_of_ms),
        )
        policy = fixed_policy(settings) or _published_policy(database)
        version = store(database, fitted.model)
    finally:
        database.close()
    return Trained(version, log.customers, fitted, aggregated.predict(fitted.model, summaries, policy), policy)


def summary_of(totals: CustomerTotals, as_of_ms: int) -> CustomerSummary:
    """Return a row of the file as it is seen from a day."""
    return CustomerSummary(
        order_count=totals.order_count,
        spent_minor=totals.spent_minor,
        first_purchase_days=(as_of_ms - totals.first_ms) / DAY_MS,
        last_purchase_days=(as_of_ms - totals.last_ms) / DAY_MS,
        category_count=totals.category_count,
        acquisition_source=totals.source,
        campaign_type=totals.campaign_type,
        acquisition_cost_minor=totals.acquisition_cost_minor,
        engagement_rate=totals.engagement_rate,
        return_rate=totals.return_rate,
    )


def store(database: Database, model: AggregatedModel) -> str:
    """Store a model as an artifact and return its version; the newest one, fitted again, stays what it is.

    Raises
    ------
    StoreUnavailable
        When a retry may help.
    """
    digest = aggregated.digest_of(model)
    newest = newest_artifacts(database, aggregated.NAME, up_to_version=_NEWEST, limit=1)
    if newest and newest[0].digest == digest:
        return newest[0].version
    version = version_of(sequence_of(newest[0].version) + 1 if newest else 1, digest)
    put_artifacts(database, [Artifact(aggregated.NAME, version, aggregated.encode(model), model.as_of_ms)])
    return version


def load(database: Database) -> tuple[str, AggregatedModel] | None:
    """Return version and model that were stored last, digest-checked; None where none was.

    Raises
    ------
    IncompatibleArtifact
        When the stored bytes are damaged, or of another build's format.
    StoreUnavailable
        When a retry may help.
    """
    newest = newest_artifacts(database, aggregated.NAME, up_to_version=_NEWEST, limit=1)
    if not newest:
        return None
    return newest[0].version, aggregated.decode(get_artifact(database, newest[0].digest))


def _as_of_ms(as_of: str, log: CustomersLog) -> int:
    latest_ms = max(totals.last_ms for totals in log.customers)
    if not as_of:
        return latest_ms
    try:
        day = date.fromisoformat(as_of)
    except ValueError:
        raise InputError(f"--as-of is {as_of!r}", "a date, for example 2024-12-31") from None
    as_of_ms = math.floor(datetime.combine(day, time(), UTC).timestamp()) * 1000
    later = sum(totals.last_ms > as_of_ms for totals in log.customers)
    if later or not 0 <= as_of_ms <= MAX_MS:
        latest = rfc3339(latest_ms)[:10]
        raise InputError(
            f"--as-of is {as_of}, and {later} customers bought later, the last on {latest}",
            "totals cannot be turned back: give the day on which the file was made, or none",
        )
    return as_of_ms


def _examples(database: Database, settings: Settings, as_of_ms: int) -> Examples | None:
    """Return what has matured by the end of the day and can be compared; None where there is nothing."""
    sampled = sample_examples(
        database, matured_from_ms=0, matured_to_ms=as_of_ms + DAY_MS, limit=MAX_EXAMPLES, seed=_SEED
    )
    wanted = (FEATURE_DIGEST, settings.horizon_days, settings.currency)
    kept = [one for one in sampled if (one.feature_digest, one.horizon_days, one.currency) == wanted]
    if not kept:
        return None
    return aggregated.Examples(
        summaries_of_features(
            np.array([one.features for one in kept], dtype=np.float64),
            [one.acquisition_source for one in kept],
            [one.campaign_type for one in kept],
        ),
        np.array([one.value_minor for one in kept], dtype=np.float64),
        [one.customer_id for one in kept],
    )


def _published_policy(database: Database) -> SegmentPolicy | None:
    newest = newest_artifacts(database, POLICY_NAME, up_to_version=_NEWEST, limit=1)
    return msgspec.json.decode(get_artifact(database, newest[0].digest), type=SegmentPolicy) if newest else None
