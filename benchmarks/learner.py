"""How many matured examples the trainer learns a second, durably, and how many one worker gives it to learn."""

from __future__ import annotations

import tempfile
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.measure import interleaved, medians
from clv.events import parse_time_ms
from clv.rules import DAY_MS
from clv.settings import Settings
from storage.engine import Database
from storage.schema import upgrade
from streams.trainer_store import TrainerStore, learn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.shop import Traded
    from clv.outcomes import TrainingExample

_NEVER_DAYS = 100_000


def measure_learning(
    traded: Traded, *, rounds: int, database_url: str = "", observe: Callable[[str], None] = lambda _name: None
) -> dict[str, Any]:
    """Return examples learned a second by the trainer's own step and store, a transaction for each event-day.

    Refits are left out, and their seconds given beside. ``worker_examples_per_s`` is what a worker would give at the
    speed of its pipeline alone, without a broker: more than any real one.

    Parameters
    ----------
    database_url
        Where to store; a new SQLite file for each round where empty.
    """
    days = [list(group) for _, group in groupby(traded.examples, key=lambda one: one.matured_at[:10])]
    found = medians(
        interleaved({"learner": lambda: _learn_all(days, database_url)}, rounds=rounds, observe=observe)["learner"]
    )
    needed = traded.examples_per_order / traded.pipeline_us * 1e6
    return {
        "examples": len(traded.examples),
        "event_days": len(days),
        "store": "sqlite" if not database_url else database_url.partition(":")[0],
        "learner": found.as_dict(),
        "examples_per_order": round(traded.examples_per_order, 3),
        "worker_pipeline_us": round(traded.pipeline_us, 2),
        "worker_examples_per_s": round(needed, 1),
        "ratio": round(found.per_second / needed, 3),
        "refit_seconds": round(traded.refit_seconds, 2),
    }


def _learn_all(days: Sequence[Sequence[TrainingExample]], database_url: str) -> int:
    with tempfile.TemporaryDirectory() as folder:
        url = database_url or f"sqlite:///{Path(folder) / 'clv.db'}"
        settings = Settings(data_dir=Path(folder), database_url=url, refit_days=_NEVER_DAYS, segment_cutoffs="200,50")
        upgrade(url)
        database = Database(url)
        try:
            for examples in days:
                kept = TrainerStore(settings, database)
                kept.load()
                training = kept.training()
                learn(training, examples)
                now_ms = (parse_time_ms(examples[-1].matured_at) // DAY_MS + 1) * DAY_MS
                published = training.step(now_ms)
                training.state.through_ms = now_ms
                kept.save(training, published)
        finally:
            database.close()
    return sum(len(examples) for examples in days)
