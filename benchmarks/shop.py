"""A made-up shop that has been traded in: real models, customers' features and matured examples to measure with.

It is passed through the back-test's engine, which is the worker's pipeline and the trainer's schedule in memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from backtest.days import days_of
from backtest.engine import Engine
from clv.events import OrderPlaced, parse_time_ms
from clv.rules import DAY_MS
from clv.settings import Settings
from models.maturity import in_order
from producers.generator import Shop

if TYPE_CHECKING:
    from collections.abc import Callable

    from clv.outcomes import TrainingExample
    from clv.ports import Floats, Ints
    from models.scorer import SnapshotScorer

START_MS = parse_time_ms("2024-01-01T00:00:00Z")
SEED = 1


class Traded(NamedTuple):
    """What came of a shop: the models in force at its end, every customer's features then, and matured examples.

    ``examples`` are a sample of those that matured, in the order of learning. ``examples_per_order`` have matured of
    each order that was placed a horizon before the end. ``pipeline_us`` is processing time an event, of orders and all
    others, without a broker; ``refit_seconds`` is the mean refit's.
    """

    scorer: SnapshotScorer
    features: Floats
    as_of_ms: Ints
    examples: list[TrainingExample]
    examples_per_order: float
    pipeline_us: float
    refit_seconds: float


def trade(customers: int, days: int, observe: Callable[[int], None] = lambda _day: None) -> Traded:
    """Pass a shop day by day.

    Parameters
    ----------
    customers, days
        How large it is, and how long it is open: longer than a horizon, for labels to mature.
    observe
        Called with the number of days passed.
    """
    settings = Settings()
    refits = 0

    def note(published: object) -> None:
        nonlocal refits
        refits += bool(getattr(published, "is_refitted", False))

    engine = Engine(settings, observe=note)
    shop = Shop(seed=SEED, customers=customers, start_ms=START_MS, days=days, has_mail=False)
    end_ms, orders, events, ids = START_MS, 0, 0, set()
    judged_until_ms = START_MS + (days - settings.horizon_days) * DAY_MS
    for number, day in enumerate(days_of(shop)):
        engine.pass_day(day)
        events += len(day.events)
        orders += sum(1 for one in day.events if isinstance(one, OrderPlaced) and one.occurred_ms < judged_until_ms)
        ids |= {one.customer_id for one in day.events}
        end_ms = day.end_ms
        observe(number + 1)
    learning = engine.learning
    rows = [row for one in sorted(ids) if (row := engine.partition.features(one, end_ms)) is not None]
    return Traded(
        scorer=learning.scorer,
        features=np.array(rows, dtype=np.float64),
        as_of_ms=np.full(len(rows), end_ms, dtype=np.int64),
        examples=in_order(learning.to_state().sample),
        examples_per_order=learning.learner.learned_count / max(orders, 1),
        pipeline_us=1e6 * engine.seconds["pipeline"] / events,
        refit_seconds=(learning.seconds["refit"] + learning.seconds["gather"]) / max(refits, 1),
    )
