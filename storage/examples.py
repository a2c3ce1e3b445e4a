"""Matured training examples, read in the order of maturity or as a sample; always in pieces of bounded size."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

import numpy as np
from sqlalchemy import and_, func, select, tuple_

from clv.outcomes import TrainingExample, rfc3339
from clv.sampling import draw_key
from storage import tables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import ColumnElement, Row

    from storage.engine import Database

_examples = tables.training_examples
_CHUNK = 1_000


def count_examples(database: Database, *, matured_from_ms: int, matured_to_ms: int) -> int:
    """Count the examples that matured at or after ``matured_from_ms`` and before ``matured_to_ms``."""
    with database.reading() as connection:
        query = select(func.count()).where(_matured(matured_from_ms, matured_to_ms))
        return connection.execute(query).scalar_one()


def iter_examples(
    database: Database, *, matured_from_ms: int, matured_to_ms: int, chunk: int = _CHUNK
) -> Iterator[list[TrainingExample]]:
    """Yield the examples that matured in [from, to), ordered by maturity, then by event id.

    Parameters
    ----------
    chunk
        Most examples in one list; each list is read in a transaction of its own, so the caller may take its time.

    Yields
    ------
    list[TrainingExample]
        Never empty.

    Raises
    ------
    StoreUnavailable
        When a retry may help: call again from the last ``matured_at``.
    """
    order = (_examples.c.matured_ms, _examples.c.event_id)
    query = select(_examples).where(_matured(matured_from_ms, matured_to_ms)).order_by(*order).limit(chunk)
    after: tuple[int, str] | None = None
    while True:
        page = query if after is None else query.where(tuple_(*order) > after)
        with database.reading() as connection:
            rows = connection.execute(page).all()
        if not rows:
            return
        yield [_example(row) for row in rows]
        after = (rows[-1].matured_ms, rows[-1].event_id)


def sample_examples(
    database: Database, *, matured_from_ms: int, matured_to_ms: int, limit: int, seed: int
) -> list[TrainingExample]:
    """Return up to ``limit`` examples that matured in [from, to), ordered by maturity, then by event id.

    Notes
    -----
    Which ones is a function of their ids and ``seed`` alone, see ``clv.sampling``. Reads every
    id of the window, about a microsecond each; memory grows with ``limit``.
    """
    ids = _iter_ids(database, matured_from_ms, matured_to_ms)
    chosen = heapq.nsmallest(limit, ids, key=lambda name: draw_key(name, seed))
    found: list[Row[tuple[object, ...]]] = []
    with database.reading() as connection:
        for start in range(0, len(chosen), _CHUNK):
            query = select(_examples).where(_examples.c.event_id.in_(chosen[start : start + _CHUNK]))
            found.extend(connection.execute(query).all())
    return [_example(row) for row in sorted(found, key=lambda row: (row.matured_ms, row.event_id))]


def _iter_ids(database: Database, matured_from_ms: int, matured_to_ms: int) -> Iterator[str]:
    query = select(_examples.c.event_id).where(_matured(matured_from_ms, matured_to_ms))
    with database.streaming() as connection, connection.execution_options(yield_per=_CHUNK).execute(query) as rows:
        yield from rows.scalars()


def _matured(from_ms: int, to_ms: int) -> ColumnElement[bool]:
    return and_(_examples.c.matured_ms >= from_ms, _examples.c.matured_ms < to_ms)


def pack_features(features: list[float]) -> bytes:
    """Write features as the ``features`` column holds them: float64, little-endian, exact."""
    return np.asarray(features, dtype="<f8").tobytes()


def _example(row: Row[tuple[object, ...]]) -> TrainingExample:
    return TrainingExample(
        event_id=row.event_id,
        customer_id=row.customer_id,
        as_of=rfc3339(row.as_of_ms),
        matured_at=rfc3339(row.matured_ms),
        moment=row.moment,
        horizon_days=row.horizon_days,
        feature_digest=row.feature_digest,
        features=np.frombuffer(row.features, dtype="<f8").tolist(),
        acquisition_source=row.acquisition_source,
        campaign_type=row.campaign_type,
        clv_minor=row.clv_minor,
        btyd_minor=row.btyd_minor,
        glm_minor=row.glm_minor,
        online_minor=row.online_minor,
        ensemble_minor=row.ensemble_minor,
        naive_minor=row.naive_minor,
        scorer_version=row.scorer_version,
        value_minor=row.value_minor,
        currency=row.currency,
    )


ANSWERS = ("clv", "btyd", "glm", "online", "ensemble", "naive")
"""What was predicted of each example; 0 where a model did not answer."""


def newest_answers(database: Database, *, limit: int) -> dict[str, np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """Return what was said of the examples that matured last, and what came: arrays of shape (n,), minor units.

    Keys are ``ANSWERS``, ``value``, and ``matured_ms``.

    Raises
    ------
    StoreUnavailable
        When a retry may help.
    """
    names = [*(f"{name}_minor" for name in ANSWERS), "value_minor", "matured_ms"]
    newest = (
        select(*(_examples.c[name] for name in names))
        .order_by(_examples.c.matured_ms.desc(), _examples.c.event_id.desc())
        .limit(limit)
    )
    with database.reading() as connection:
        rows = connection.execute(newest).all()
    table = np.array(rows, dtype=np.float64).reshape(-1, len(names))
    return {name.removesuffix("_minor"): table[:, place] for place, name in enumerate(names)}
