"""The example package's model competes in back-test and trainer, and workers answer with it."""

from __future__ import annotations

import asyncio
import csv
import json
import random
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from sklearn.tree import DecisionTreeRegressor

from backtest.runner import BacktestOptions, run_backtest, run_log_path
from clv.settings import Settings
from models.custom import GROUP, CustomModel, Found, discover
from models.relative import INPUT_NAMES
from models.scorer import SnapshotScorer
from streams.published import PublishedModels
from streams.trainer_store import TrainerStore, learn, stored_examples
from tests.conftest import ROOT
from tests.unit.backtest.logs import ListLog, order, shop_log
from tests.unit.models.histories import feature_rows
from tests.unit.models.test_challengers import Wrong, broken
from tests.unit.streams.shop import PARTITIONS, START_MS, open_database, shop, store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DAY_MS = 86_400_000
NAME = "silence-steps"


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> Callable[[], tuple[CustomModel, ...]]:
    """Give what finds the example as if it were installed, each time as a process of its own would."""
    monkeypatch.syspath_prepend(ROOT / "examples" / "custom_model")
    point = EntryPoint(NAME, "silence_steps:silence_steps", GROUP)

    def found() -> tuple[CustomModel, ...]:
        return tuple(CustomModel(one, _unsound) for one in discover(_unsound, installed=[point]))

    return found


def _unsound(event: object) -> None:
    pytest.fail(str(event))


def rows_of(path: Path) -> list[dict[str, str]]:
    """Return the rows of a predictions file."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_back_test_has_its_column(models: Callable[[], tuple[CustomModel, ...]], tmp_path: Path) -> None:
    """It answers from the first ensemble on and is judged; nobody else's answer changes; interrupted, it goes on."""
    log, settings = shop_log(140, 300), Settings(refit_days=45, horizon_days=45)
    with_it, without = tmp_path / "with.csv", tmp_path / "without.csv"
    passed = iter(range(1_000))

    def is_stopping() -> bool:
        return next(passed) == 150

    run_backtest(log, BacktestOptions(settings=settings, out=without))
    for _ in range(2):
        run_backtest(log, BacktestOptions(settings=settings, out=with_it, custom=models(), is_stopping=is_stopping))
    theirs, ours = rows_of(with_it), rows_of(without)
    assert [name for name in theirs[0] if name not in ours[0]] == [NAME]
    assert [{**row, NAME: ""} for row in ours if row["ensemble"] == ""] == [
        row for row in theirs if row["ensemble"] == ""
    ]
    for name in ("btyd", "glm", "online", "ensemble", "naive"):
        assert [row[name] for row in ours] == [row[name] for row in theirs]
    assert all(bool(row[NAME]) == bool(row["ensemble"]) for row in theirs)
    whole = tmp_path / "whole.csv"
    run_backtest(log, BacktestOptions(settings=settings, out=whole, custom=models()))
    assert whole.read_bytes() == with_it.read_bytes()
    assert f'"{NAME}":{{"count":' in run_log_path(whole).read_text()


def loyal_by_cost(customers: int, days: int) -> ListLog:
    """Return a shop in which what a customer cost decides: of ten prices, every other one's customers stay for good.

    The others never come again. No straight line through the price tells them apart.
    """
    rng = random.Random(7)
    events = []
    for number in range(customers):
        day, price = rng.uniform(0, days - 30), rng.randrange(10)
        while day < days:
            placed = order(f"c{number}", day, rng.randrange(4_000, 6_000))
            events.append(msgspec.structs.replace(placed, acquisition_cost_minor=1_000 * 2**price))
            if price % 2:
                break
            day += 1 + rng.expovariate(1 / 20)
    return ListLog(sorted(events, key=lambda event: (event.occurred_ms, event.event_id)))


def by_cost() -> Pipeline:
    """Return a regressor that looks at what the customer cost, and nothing else."""
    cost = ColumnTransformer([("cost", "passthrough", [INPUT_NAMES.index("acquisition_cost_minor")])])
    return Pipeline([("cost", cost), ("tree", DecisionTreeRegressor(min_samples_leaf=10))])


def test_who_knows_a_planted_effect_comes_to_answer(tmp_path: Path) -> None:
    """In a back-test it leads the blend or answers alone, and the score is better for it; a bad one never does."""
    log, settings = loyal_by_cost(1_000, 200), Settings(refit_days=14, horizon_days=30)
    factories = {"by-cost": by_cost, "wrong": Wrong, "broken": broken}
    custom = [CustomModel(Found(name, "", made), lambda _event: None) for name, made in factories.items()]
    end = run_backtest(log, BacktestOptions(settings=settings, out=tmp_path / "with.csv", custom=custom)).end
    assert end
    lines = [json.loads(line) for line in run_log_path(tmp_path / "with.csv").read_text().splitlines()[1:-1]]
    weights = lines[-1]["weights"]
    champions = {row["champion"] for row in rows_of(tmp_path / "with.csv")}
    assert champions & {"by-cost", "blend"}
    assert max(weights, key=weights.get) == "by-cost"
    assert weights.get("wrong", 0.0) < 0.001
    assert not champions & {"wrong", "broken"}
    assert not any("broken" in line["weights"] for line in lines)
    assert not any(row["broken"] for row in rows_of(tmp_path / "with.csv"))
    without = run_backtest(log, BacktestOptions(settings=settings, out=tmp_path / "without.csv")).end
    assert without
    assert end.scored["by-cost"]["all"].deviance < 0.97 * end.scored["ensemble"]["all"].deviance
    assert end.scored["predicted"]["all"].deviance < 0.99 * without.scored["predicted"]["all"].deviance


def test_a_trainer_publishes_it_and_workers_answer(
    models: Callable[[], tuple[CustomModel, ...]], tmp_path: Path
) -> None:
    """Judged across a restart of the trainer, on the card, and asked by whoever loads what was published."""
    database = open_database(tmp_path)
    store(database, shop(280))
    settings = Settings(partitions=PARTITIONS, refit_days=20)
    counts = []
    for days in (range(119, 260), range(260, 280)):
        kept = TrainerStore(settings, database, models())  # another process
        kept.load()
        for day in days:
            now_ms = START_MS + day * DAY_MS
            training = kept.training()
            learn(training, stored_examples(database, training.state.through_ms, now_ms))
            published = training.step(now_ms)
            training.state.through_ms = now_ms
            kept.save(training, published)
        metrics = training.learner.metrics()
        counts.append(metrics[NAME].count if NAME in metrics else 0)
    assert NAME in training.learner.candidates()
    assert 0 < counts[0] < counts[1]
    sequence = int(training.learner.snapshot(now_ms).sequence) - 1
    scorer = asyncio.run(PublishedModels(settings, database).judgement(sequence)).scorer
    assert isinstance(scorer, SnapshotScorer)
    scores = scorer.score(feature_rows(30), np.full(30, now_ms + DAY_MS, dtype=np.int64))
    assert (scores.custom[NAME] > 0.0).all()
    database.close()
